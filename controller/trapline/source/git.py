"""A bare mirror of one ref of a git repository, read by commit. No work tree, no hooks, no prompts."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trapline.source.access import Access, Login
from trapline.source.command import Done, TimedOut, run_git
from trapline.source.objects import Blobs, Unreadable, list_entries, read_entries, shows_damage
from trapline.source.remote import check_ref, check_url, explain_failure, redact
from trapline.source.tree import SourceError, Tree, clean_root, no_such_root
from trapline.source.verify import Trust

_TRACKED = "refs/trapline/tracked"  # the one ref of every mirror, whatever it is called at the other side
_APART = "refs/trapline/apart"  # commits that were asked for by their id
_DAMAGED = "trapline-damaged"
_STALE_SECONDS = 600.0
_LITTER = (
    "*.lock",
    "refs/**/*.lock",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
    "objects/??/tmp_obj_*",
    "objects/tmp_*",
    "objects/info/**/*.lock",
)
_NO_SUCH_OBJECT = 1  # the exit status of rev-parse; where it cannot look, it has another one
_OTHER_TROUBLE = ("unreachable", "no-access", "unwritable", "too-large")  # nothing that a commit is to blame for
_PLAIN = Access()
_CLONE_PATIENCE = 10

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class _Held:
    """What a mirror that can be read has: the object of its ref, an annotated tag perhaps, and that object's commit."""

    tip: str
    commit: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """The last tree that was read, and the blobs in it."""

    root: str
    tree: Tree
    blobs: Blobs


class Mirror:
    """One ref of one repository, kept beneath `path`. Safe with several processes on the same path."""

    def __init__(
        self,
        url: str,
        path: Path,
        *,
        ref: str = "main",
        timeout: float = 60,
        access: Access = _PLAIN,
        trust: Trust | None = None,
        largest: int | None = None,
        patience: int = _CLONE_PATIENCE,
    ) -> None:
        """`largest`: bytes that one fetch may bring, however many the other side has to offer.

        `patience`: how many times as long as `timeout` the first fetch may take, which brings the whole history.
        """
        check_url(url)
        check_ref(ref)
        self._url, self._path, self._ref, self._timeout = url, path, ref, timeout
        self._access, self._trust, self._largest = access, trust, largest
        self._patience = patience
        self._last: _Reading | None = None

    def fetch(self) -> str:
        """Brings the mirror up to date and returns the commit that the ref is at. Follows force pushes.

        A failure leaves the mirror as it was. Raises SourceError.
        """
        with self._locked():
            self._sweep()
            login = self._access.login(self._url)
            name, tip = self._look_up(login)
            if held := self._held():
                if held.tip == tip:
                    return held.commit
                try:
                    return self._fetch_into(self._path, name, login, timeout=self._timeout)
                except SourceError as error:
                    if error.code != "corrupt" and not self._is_damaged():
                        raise
            return self._clone(name, login)

    def has(self, commit: str) -> bool:
        """Whether a commit can be read without asking the other side."""
        return self._path.is_dir() and bool(self._steadily(lambda: self._find(commit)))

    def bring(self, commit: str) -> None:
        """Sees to it that the mirror has a commit: one of its ref, or one that the other side hands out by its id.

        Raises SourceError.
        """
        if self.has(commit):
            return
        self.fetch()
        if self.has(commit):
            return
        with self._locked():
            login = self._access.login(self._url)
            try:
                self._fetch(self._path, f"+{commit}:{_APART}/{commit}", login, timeout=self._timeout)
            except SourceError as error:
                if error.code in _OTHER_TROUBLE:
                    raise
        if not self.has(commit):  # it may have been there, and be something else
            message = f"{redact(self._url)} has no commit {commit[:12]} in {self._ref}"
            raise SourceError("no-such-ref", message, remedy="name a commit of that branch")

    def current(self) -> str | None:
        """The commit that the mirror has now, without asking the other side; None where there is no usable mirror."""
        held = self._held()
        return held.commit if held else None

    def resolve(self, revision: str) -> str:
        """The full commit id of a revision that the mirror has: an id, or the mirrored ref's name, or `HEAD~2`."""
        return self._steadily(lambda: self._known(revision))

    def follows(self, revision: str, earlier: str) -> bool:
        """Whether a commit is `earlier` or came after it: False after a force push, and where nobody knows."""
        commit, before = self.resolve(revision), self._steadily(lambda: self._find(earlier))
        return bool(before) and not self._git("merge-base", "--is-ancestor", before, commit).status

    def ahead(self, revision: str, earlier: str) -> int | None:
        """How many commits lead from `earlier` to a revision; None where it does not follow, and where nobody knows."""
        if not self.follows(revision, earlier):
            return None
        return int(self._git("rev-list", "--count", f"{earlier}..{self.resolve(revision)}").out)

    def verify(self, revision: str) -> None:
        """Raises SourceError("unverified") for a commit that nobody who is trusted signed, where trust is asked for."""
        if self._trust is not None:
            self._trust.check(self._path, self.resolve(revision), timeout=self._timeout)

    def read(self, revision: str, *, root: str = "") -> Tree:
        """Every file at a revision, beneath `root` alone where one is given, from the object store.

        Links and submodules are not followed. The last tree is kept, and of another one only what is new is read.
        """
        root, last = clean_root(root), self._last
        if last and (last.tree.revision, last.root) == (revision, root):
            return last.tree
        tree, blobs = self._steadily(lambda: self._read(revision, root, last.blobs if last else {}))
        if not last or not _is_inside(root, last.root):  # a look into one folder leaves the memory of the whole alone
            self._last = _Reading(root, tree, blobs)
        return tree

    def _steadily(self, look: Callable[[], _Found]) -> _Found:
        """What a look at the mirror finds. Where it fails, a second one decides, which no fetch can come between."""
        with suppress(Unreadable):  # a fetch may have put another mirror in this one's place meanwhile
            return look()
        with self._locked():
            try:
                return look()
            except Unreadable as error:
                if error.damaged and self._path.is_dir():
                    (self._path / _DAMAGED).touch()  # so that the next fetch builds it anew
                raise self._explained(error) from None

    def _read(self, revision: str, root: str, known: Blobs) -> tuple[Tree, Blobs]:
        commit = self._known(revision)
        entries = list_entries(self._git, commit, root)
        if root and not entries:
            raise no_such_root(root, commit, [entry.path for entry in list_entries(self._git, commit, "")])
        return read_entries(self._git, commit, entries, known)

    def _known(self, revision: str) -> str:
        if commit := self._find(revision):
            return commit
        message = f"{redact(self._url)} has no commit {revision} in {self._ref}"
        raise SourceError("no-such-ref", message, remedy="name a commit of that branch; fetch if it is new")

    def _find(self, revision: str) -> str:
        """The full commit id of a revision; empty where the mirror does not have it. Raises Unreadable."""
        check_ref(revision)
        wanted = revision
        for name in ("HEAD", self._ref):
            if revision == name or revision.startswith((f"{name}~", f"{name}^")):
                wanted = _TRACKED + revision.removeprefix(name)
        done = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}")
        if done.status not in (0, _NO_SUCH_OBJECT):
            raise Unreadable(done)
        return done.out.decode().strip()

    def _look_up(self, login: Login) -> tuple[str, str]:
        """The full name and the object id of the ref at the other side."""
        full = self._ref == "HEAD" or self._ref.startswith("refs/")
        names = [self._ref] if full else [f"refs/heads/{self._ref}", f"refs/tags/{self._ref}"]
        refs = self._ls_remote(names, login)
        for name in names:
            if name in refs:
                return name, refs[name]
        branches = [name.removeprefix("refs/heads/") for name in self._ls_remote(["refs/heads/*"], login)]
        message = f"{redact(self._url)} has no branch or tag {self._ref}"
        remedy = f"use one of: {', '.join(sorted(branches)[:10])}" if branches else "push a first commit to it"
        raise SourceError("no-such-ref", message, remedy=remedy)

    def _ls_remote(self, patterns: Sequence[str], login: Login) -> dict[str, str]:
        done = self._ask(["ls-remote", "--quiet", "--", login.url, *patterns], login, self._timeout)
        lines = (line.partition("\t") for line in done.out.decode(errors="replace").splitlines())
        return {name: oid for oid, _, name in lines}

    def _fetch(self, path: Path, what: str, login: Login, *, timeout: float) -> None:
        options = ["--quiet", "--no-tags", "--force", "--no-write-fetch-head"]
        arguments = [f"--git-dir={path}", "fetch", *options, "--", login.url, what]
        self._ask(arguments, login, timeout, largest=self._largest)

    def _fetch_into(self, path: Path, name: str, login: Login, *, timeout: float) -> str:
        self._fetch(path, f"+{name}:{_TRACKED}", login, timeout=timeout)
        if held := self._held(path):
            return held.commit
        raise self._corrupt("the fetched commit is not there")

    def _clone(self, name: str, login: Login) -> str:
        """Builds the mirror beside its place and moves it there, so that a half-made one is never seen."""
        fresh = Path(tempfile.mkdtemp(prefix=f"{self._path.name}.tmp-", dir=self._path.parent))
        replaced = fresh.with_name(f"{fresh.name}-old")
        try:
            done = self._run(["init", "--quiet", "--bare", "--template=", str(fresh)])
            if done.status:
                raise self._unwritable(done.said)
            commit = self._fetch_into(fresh, name, login, timeout=self._timeout * self._patience)
            if self._path.exists():
                self._path.rename(replaced)
            fresh.rename(self._path)
            return commit
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(replaced, ignore_errors=True)

    def _held(self, path: Path | None = None) -> _Held | None:
        """What the mirror has, in one look; None where its ref, the commit or the commit's tree is gone or damaged.

        Raises SourceError where nobody can say that now.
        """
        path = path or self._path
        if not path.is_dir() or (path / _DAMAGED).exists():
            return None
        asked = "".join(f"{_TRACKED}{what}\n" for what in ("", "^{commit}", "^{tree}"))
        done = self._run(
            [f"--git-dir={path}", "cat-file", "--batch-check=%(objectname) %(objecttype)"], feed=asked.encode()
        )
        found = [line.split() for line in done.out.decode().splitlines()]
        if done.status or [kind for _, kind in found[1:]] != ["commit", "tree"]:
            if shows_damage(done):
                return None
            raise self._explained(Unreadable(done))
        return _Held(tip=found[0][0], commit=found[1][0])

    def _is_damaged(self) -> bool:
        if self._held() is None:
            return True
        done = self._git("fsck", "--connectivity-only")
        return done.status != 0 and shows_damage(done)

    def _sweep(self) -> None:
        """Removes what killed processes left: git never takes over a lock, however old."""
        aged = [path for pattern in _LITTER for path in self._path.glob(pattern)]
        aged += self._path.parent.glob(f"{self._path.name}.tmp-*")
        for path in aged:
            try:
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except FileNotFoundError:
                pass

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise self._unwritable(str(error)) from error

    def _explained(self, error: Unreadable) -> SourceError:
        said = redact(str(error), self._url)
        if error.damaged:
            return self._corrupt(said)
        message = f"git could not read the mirror {self._path} of {redact(self._url)}: {said}"
        remedy = "look at this machine's memory, and at who owns the mirror; it is tried again by itself"
        return SourceError("unreachable", message, remedy=remedy)

    def _corrupt(self, said: str) -> SourceError:
        message = f"the mirror {self._path} of {redact(self._url)} is damaged: {said}"
        return SourceError("corrupt", message, remedy="fetch again, which repairs it; else delete that directory")

    def _unwritable(self, said: str) -> SourceError:
        message = f"the mirror {self._path} of {redact(self._url)} cannot be written: {redact(said.strip(), self._url)}"
        return SourceError(
            "unwritable", message, remedy="look whether its disk has room, and whether this user may write there"
        )

    def _ask(self, arguments: Sequence[str], login: Login, timeout: float, *, largest: int | None = None) -> Done:
        """Runs what speaks to the other side. Raises SourceError with the reason and a remedy where that fails."""
        try:
            done = run_git(
                arguments, cwd=self._path.parent, timeout=timeout, environment=login.environment, largest=largest
            )
        except TimedOut:
            message = f"{redact(self._url)} did not answer within {timeout:g} s"
            raise SourceError("unreachable", message, remedy="check the network and the proxy") from None
        if done.status:
            raise explain_failure(self._url, redact(done.said, self._url, *login.secrets))
        return done

    def _git(self, *arguments: str, feed: bytes = b"", most: int | None = None) -> Done:
        """Runs git in the mirror."""
        return self._run([f"--git-dir={self._path}", *arguments], feed=feed, most=most)

    def _run(self, arguments: Sequence[str], *, feed: bytes = b"", most: int | None = None) -> Done:
        try:
            return run_git(arguments, cwd=self._path.parent, timeout=self._timeout, feed=feed, most=most)
        except TimedOut:
            message = f"git did not finish with the mirror {self._path} within {self._timeout:g} s"
            raise SourceError("unreachable", message, remedy="check the disk that it is on") from None


def _is_inside(folder: str, whole: str) -> bool:
    return folder != whole and folder.startswith(f"{whole}/" if whole else "")
