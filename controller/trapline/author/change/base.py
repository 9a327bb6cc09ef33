"""Where a change began: the commit at which the checkout's history left another branch, read from the object store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from trapline.author.checkout import Checkout
from trapline.errors import TraplineError
from trapline.source.command import Done, TimedOut, run_git
from trapline.source.objects import Unreadable, list_entries, read_entries
from trapline.source.remote import check_ref
from trapline.source.tree import Tree
from trapline.source.worktree import leaves_out

_SECONDS = 120.0
_NOT_THE_WHOLE = (
    "fetch the whole history: `git fetch --unshallow`; in a workflow of GitHub `fetch-depth: 0`, "
    "in a job of GitLab `GIT_DEPTH: 0`"
)


@dataclass(frozen=True, slots=True)
class Base:
    """`revision` is what somebody named, `commit` the last one that HEAD has in common with it, `tree` its files."""

    revision: str
    commit: str
    tree: Tree


def base_of(checkout: Checkout, revision: str) -> Base:
    """What a checkout began from, seen from `revision`; what was merged there since is not in it.

    The paths are those of the checkout's root, which may be a folder of the repository. Raises TraplineError.
    """
    check_ref(revision)
    repository = _Repository(checkout.root)
    repository.look()
    theirs, ours = repository.commit(revision), repository.head()
    commit = repository.common(revision, theirs, ours)
    return Base(revision, commit, repository.read(commit, checkout.within))


@dataclass(frozen=True, slots=True)
class _Repository:
    root: Path

    def look(self) -> None:
        """Raises TraplineError where git finds no repository, or is not let into it."""
        done = self._git("rev-parse", "--git-dir")
        if not done.status:
            return
        if "dubious ownership" in done.said:
            remedy = f"run as its owner, or: git config --global --add safe.directory {self.root}"
            raise TraplineError(f"git refuses {self.root}, because another user owns it", remedy=remedy)
        remedy = "run this in a clone of the repository of your detections"
        raise TraplineError(f"{self.root} is in no git repository, so that nothing can be compared", remedy=remedy)

    def commit(self, revision: str) -> str:
        if commit := self._find(revision):
            return commit
        remote, slash, branch = revision.partition("/")
        remedy = "name another with --base"
        if slash:
            remedy = f"did you fetch it? `git fetch {remote} {branch}`; else {remedy}"
        raise TraplineError(f"there is no revision {revision} here", remedy=remedy)

    def head(self) -> str:
        if commit := self._find("HEAD"):
            return commit
        raise TraplineError(f"the repository of {self.root} has no commit yet", remedy="commit something first")

    def common(self, revision: str, theirs: str, ours: str) -> str:
        """The merge base of the two."""
        done = self._git("merge-base", theirs, ours)
        if not done.status:
            return done.out.decode().split()[0]
        if self._git("rev-parse", "--is-shallow-repository").out.strip() == b"true":
            message = f"this clone is too shallow to find where HEAD left {revision}"
            raise TraplineError(message, remedy=_NOT_THE_WHOLE)
        message = f"HEAD and {revision} have no commit in common"
        raise TraplineError(message, remedy="name another with --base")

    def read(self, commit: str, folder: Path) -> Tree:
        """The files of a folder of a commit, by their paths from there; none where the commit has no such folder."""
        within = "" if folder == Path() else folder.as_posix()
        try:
            entries = list_entries(self._git, commit, within)
            inside = [replace(one, path=one.path.removeprefix(f"{within}/")) for one in entries]
            return read_entries(self._git, commit, [one for one in inside if not leaves_out(one.path)], {})[0]
        except Unreadable as error:
            message = f"git could not read commit {commit[:12]}: {error}"
            raise TraplineError(message, remedy="run `git fsck`, or clone it anew") from None

    def _find(self, revision: str) -> str:
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return done.out.decode().strip()

    def _git(self, *arguments: str, feed: bytes = b"", most: int | None = None) -> Done:
        try:
            return run_git(arguments, cwd=self.root, timeout=_SECONDS, feed=feed, most=most)
        except TimedOut:
            message = f"git did not finish in {self.root} within {_SECONDS:g} s"
            raise TraplineError(message, remedy="check the disk that it is on") from None
