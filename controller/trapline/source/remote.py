"""URLs and refs before git sees them, and git's words about the other side after."""

from __future__ import annotations

import re

from trapline.source.tree import Code, SourceError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEMES = {"file", "git", "http", "https", "ssh"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_BAD_REF = re.compile(r"^[-.]|\.\.|[\x00-\x20\x7f:?*\[\\^]|@\{|//|^$|\.lock$|/$")


def check_url(url: str) -> None:
    """Raises SourceError for what git would take as an option, a command to run or an unknown transport."""
    scheme = _SCHEME.match(url)
    bad = not url or url.startswith("-") or "::" in url.partition("/")[0] or not url.isprintable()
    if bad or (scheme and scheme[1].lower() not in _SCHEMES):
        remedy = "use an https://, ssh://, git:// or file:// URL, user@host:path, or the path of a repository"
        raise SourceError("refused-url", f"the repository URL {redact(url)!r} is refused", remedy=remedy)


def check_ref(ref: str) -> None:
    """Raises SourceError for a ref that cannot be one, or that git could take for an option."""
    if _BAD_REF.search(re.sub(r"[~^]\d*$", "", ref)):
        raise SourceError("no-such-ref", f"{ref!r} is no name of a branch, tag or commit", remedy="correct the ref")


def redact(text: str, url: str = "") -> str:
    """The text without credentials, those of `url` included wherever they stand."""
    for secret in _CREDENTIALS.findall(url):
        user, colon, password = secret.rstrip("@").partition(":")
        if colon or url.startswith("http"):  # `git` in ssh://git@host is nobody's secret
            text = text.replace(password or user, "***")
    return _CREDENTIALS.sub("***@", text)


def explain_failure(url: str, said: str, *, timeout: float) -> SourceError:
    """What git said about a failed ls-remote or fetch, as an error with a remedy."""
    lines = said.strip().splitlines() or ["git gave no reason"]
    last = next((line for line in reversed(lines) if line.startswith(("fatal:", "error:"))), lines[-1])
    _, code, message, remedy = next(row for row in _FAILURES if any(word in said.lower() for word in row[0]))
    filled = message.format(url=redact(url), timeout=f"{timeout:g}", detail=redact(last.strip(), url))
    return SourceError(code, filled, remedy=remedy)


_FAILURES: tuple[tuple[tuple[str, ...], Code, str, str], ...] = (
    (
        ("did not complete in",),
        "unreachable",
        "{url} did not answer within {timeout} s",
        "check the network and the proxy",
    ),
    (
        ("dubious ownership", "safe.directory"),
        "unreachable",
        "git refuses {url}, because another user owns it",
        "run as its owner, or: git config --global --add safe.directory PATH",
    ),
    (
        ("couldn't find remote ref", "not our ref"),
        "no-such-ref",
        "the ref vanished from {url} while it was fetched",
        "try again",
    ),
    (
        ("could not read username", "could not read password", "authentication failed", "permission denied", "403"),
        "unreachable",
        "{url} wants credentials that git does not have: {detail}",
        "set up a credential helper or an ssh key for the user that runs the controller",
    ),
    (
        ("does not appear to be a git repository", "not a git repository", "not found", "does not exist"),
        "not-a-repository",
        "there is no git repository at {url}: {detail}",
        "check the URL",
    ),
    (
        ("bad object", "corrupt", "loose object", "unable to read", "invalid sha1", "unpack", "index-pack"),
        "corrupt",
        "git found damage while it fetched from {url}: {detail}",
        "run git fsck in that repository",
    ),
    (("",), "unreachable", "cannot reach {url}: {detail}", "check the URL and the network"),
)
