"""URLs and refs before git sees them, and git's words about the other side after."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from trapline.source.tree import Code, SourceError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_TRANSPORTS = {"file", "git", "http", "https", "ssh"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_BAD_REF = re.compile(r"^[-.]|\.\.|[\x00-\x20\x7f:?*\[\\^]|@\{|//|^$|\.lock$|/$")


def check_url(url: str) -> None:
    """Raises SourceError for what git would take as an option, a command to run or an unknown transport."""
    bad = not url or url.startswith("-") or "::" in url.partition("/")[0] or not url.isprintable()
    if bad or transport(url) not in _TRANSPORTS or not _is_well_formed(url):
        remedy = "use an https://, ssh://, git:// or file:// URL, user@host:path, or the path of a repository"
        raise SourceError("refused-url", f"the repository URL {redact(url)!r} is refused", remedy=remedy)


def transport(url: str) -> str:
    """How git gets there: the scheme of a URL, `ssh` for `host:path`, and `file` for the path of a repository."""
    if scheme := _SCHEME.match(url):
        return scheme[1].lower()
    return "ssh" if ":" in url.partition("/")[0] else "file"


def _is_well_formed(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def check_ref(ref: str) -> None:
    """Raises SourceError for a ref that cannot be one, or that git could take for an option."""
    if _BAD_REF.search(re.sub(r"[~^]\d*$", "", ref)):
        raise SourceError("no-such-ref", f"{ref!r} is no name of a branch, tag or commit", remedy="correct the ref")


def redact(text: str, url: str = "", *secrets: str) -> str:
    """The text without the secrets and without credentials, those of `url` included wherever they stand."""
    for secret in secrets:
        text = text.replace(secret, "***")
    for secret in _CREDENTIALS.findall(url):
        user, colon, password = secret.rstrip("@").partition(":")
        if colon or url.startswith("http"):  # `git` in ssh://git@host is nobody's secret
            text = text.replace(password or user, "***")
    return _CREDENTIALS.sub("***@", text)


def explain_failure(url: str, said: str) -> SourceError:
    """What git said about a failed ls-remote or fetch, as an error with a remedy."""
    lines = said.strip().splitlines() or ["git gave no reason"]
    words, code, message, remedy = next(row for row in _FAILURES if any(word in said.lower() for word in row[0]))
    telling = [line for line in lines if any(word in line.lower() for word in words)]
    detail = next((line for line in reversed(telling) if line.startswith(("fatal:", "error:"))), telling[-1])
    filled = message.format(url=redact(url), detail=redact(detail.strip(), url))
    return SourceError(code, filled, remedy=remedy)


_FAILURES: tuple[tuple[tuple[str, ...], Code, str, str], ...] = (
    (
        ("no space left on device", "disk quota exceeded"),
        "unwritable",
        "what is new in {url} does not fit on the disk of the controller's home: {detail}",
        "make room on that disk; it is tried again by itself",
    ),
    (
        ("file too large", "file size limit", "signal 25"),
        "too-large",
        "{url} has more to fetch than anybody wrote by hand: {detail}",
        "keep only detections in that repository",
    ),
    (
        ("dubious ownership", "safe.directory"),
        "unreachable",
        "git refuses {url}, because another user owns it",
        "run as its owner, or: git config --global --add safe.directory PATH",
    ),
    (
        (".lock': file exists",),
        "corrupt",  # which makes the mirror anew beside it, in nobody's way
        "a fetch from {url} was ended in the middle and left its lock: {detail}",
        "try again",
    ),
    (
        ("couldn't find remote ref", "not our ref"),
        "no-such-ref",
        "the ref vanished from {url} while it was fetched",
        "try again",
    ),
    (
        ("remote host identification has changed",),
        "no-access",
        "the host key of {url} is not the one that is known: it changed, or somebody answers in its place",
        "find out from its operator; where the new key is right, replace the host's line in the known hosts",
    ),
    (
        ("revoked host key",),
        "no-access",
        "the host key of {url} is marked as revoked in the known hosts",
        "find out from its operator which key is right",
    ),
    (
        ("host key verification failed",),
        "no-access",
        "the host of {url} is not among the known hosts",
        "add its key, checked with its operator, to the file that --known-hosts names",
    ),
    (
        ("unprotected private key file",),
        "no-access",
        "ssh does not use a key that others can read, so {url} let nobody in",
        "chmod 600 the file that --ssh-key names",
    ),
    (
        ("incorrect passphrase", "invalid format", "error in libcrypto"),
        "no-access",
        "ssh cannot use its key, so {url} let nobody in: the file is no private key, or a passphrase protects it",
        "name a private key without a passphrase with --ssh-key",
    ),
    (
        ("permission denied (", "too many authentication failures"),
        "no-access",
        "{url} accepts no ssh key of ours: {detail}",
        "name the right key with --ssh-key, and add its public half to the repository's deploy keys",
    ),
    (
        ("could not read username", "could not read password", "authentication failed", "error: 401", "error: 403"),
        "no-access",
        "{url} wants other credentials than it was given: {detail}",
        "give a token that may read the repository, with --git-token-file or TRAPLINE_GIT_TOKEN",
    ),
    (
        ("error: 301", "error: 302", "error: 303", "error: 307", "error: 308"),
        "unreachable",
        "{url} sends its callers to another address, where a token is not taken along: {detail}",
        "name the address that it leads to with --repository",
    ),
    (
        ("does not appear to be a git repository", "not a git repository", "not found", "does not exist"),
        "not-a-repository",
        "there is no git repository at {url}: {detail}",
        "check the URL, and that the credentials may see it",
    ),
    (
        ("permission denied",),
        "no-access",
        "{url} may not be read: {detail}",
        "give the user that runs the controller the permission to read it",
    ),
    (
        ("bad object", "corrupt", "loose object", "unable to read", "invalid sha1"),
        "corrupt",
        "git found damage while it fetched from {url}: {detail}",
        "run git fsck in that repository",
    ),
    (
        ("unpack", "index-pack"),  # it was killed, or the other side stopped in the middle
        "unreachable",
        "git could not take in what came from {url}: {detail}",
        "look at the network and this machine's memory; if it lasts, run git fsck in that repository",
    ),
    (("",), "unreachable", "cannot reach {url}: {detail}", "check the URL and the network"),
)
