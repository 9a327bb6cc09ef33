"""Where a pack's checkout is from: the repository and the commit that others can have it by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trapline.author.checkout import Checkout
from trapline.detection.shared import FOLDER
from trapline.errors import TraplineError
from trapline.packs.manifest import FILE_NAME
from trapline.settings.packs import FULL_REVISION
from trapline.source.command import Done, TimedOut, run_git
from trapline.source.remote import check_url, redact

_SECONDS = 30.0
_NAME_BOTH = "name both with --source and --revision"


@dataclass(frozen=True, slots=True)
class Origin:
    """`root` is the folder of the repository that the pack lies in, empty for all of it."""

    source: str
    revision: str
    root: str


def origin_of(checkout: Checkout, *, source: str | None, revision: str | None) -> Origin:
    """What is not given is that of the remote `origin`, and of HEAD. Raises TraplineError where git cannot tell, or the
    files are not those of HEAD."""
    if source:
        check_url(source)
    if revision and not FULL_REVISION.fullmatch(revision):
        message = f"{revision!r} is not the full id of a commit"
        raise TraplineError(message, remedy="`git rev-parse HEAD` says it; a branch or tag may be moved")
    root = checkout.within.as_posix()
    return Origin(source or _remote(checkout.root), revision or _head(checkout.root), "" if root == "." else root)


def _remote(folder: Path) -> str:
    done = _git(folder, "remote", "get-url", "origin")
    url = done.out.decode(errors="replace").strip()
    if done.status or not url:
        message = f"{folder} has no remote `origin` that others could have it from"
        raise TraplineError(message, remedy="name the URL with --source")
    if redact(url, url) != url and url.startswith("http"):
        raise TraplineError("the remote `origin` has a password or token in its URL", remedy="name it with --source")
    return url


def _head(folder: Path) -> str:
    done = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if done.status:
        raise TraplineError(f"{folder} has no commit that others could have", remedy=_NAME_BOTH)
    parts = ("detections", FOLDER, FILE_NAME)
    if _git(folder, "status", "--porcelain", "--", *parts).out.strip():
        message = f"{folder} has changes that its commit has not"
        raise TraplineError(message, remedy="commit them first, or name the commit that has them with --revision")
    return done.out.decode().strip()


def _git(folder: Path, *arguments: str) -> Done:
    try:
        return run_git(arguments, cwd=folder, timeout=_SECONDS)
    except TimedOut:
        message = f"git did not finish in {folder} within {_SECONDS:g} s"
        raise TraplineError(message, remedy="check the disk that it is on") from None
