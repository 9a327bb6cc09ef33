"""A bare mirror of one ref of a git repository, read by commit. No work tree, no hooks, no prompts."""

from __future__ import annotations

import fcntl
import os
import posixpath
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from git.cmd import Git
from git.exc import GitCommandNotFound

from trapline.config.files import File
from trapline.source.remote import check_ref, check_url, explain_failure, redact
from trapline.source.tree import MAX_FILES, SourceError, Tree, too_large, too_many, tree_of

_TRACKED = "refs/trapline/tracked"  # the one ref of every mirror, whatever it is called at the other side
_DAMAGED = "trapline-damaged"
_STALE_SECONDS = 600.0
_LITTER = ("*.lock", "refs/trapline/*.lock", "objects/pack/tmp_*", "objects/??/tmp_obj_*", "objects/tmp_*")
_REGULAR = {"100644": False, "100755": True, "100664": False}
_LINK, _SUBMODULE = "120000", "160000"
_UNSAFE_PARTS = {"", ".", "..", ".git"}


class Mirror:
    """One ref of one repository, kept beneath `path`. Safe with several processes on the same path."""

    def __init__(self, url: str, path: Path, *, ref: str = "main", timeout: float = 60) -> None:
        check_url(url)
        check_ref(ref)
        self._url, self._path, self._ref, self._timeout = url, path, ref, timeout

    def fetch(self) -> str:
        """Brings the mirror up to date and returns the commit that the ref is at. Follows force pushes.

        A failure leaves the mirror as it was. Raises SourceError.
        """
        with self._locked():
            self._sweep()
            name, tip = self._look_up()
            if self._is_healthy():
                try:
                    return self._fetch_into(self._path, name, tip)
                except SourceError as error:
                    if error.code != "corrupt" and self._is_healthy(thorough=True):
                        raise
            return self._clone(name)

    def resolve(self, revision: str) -> str:
        """The full commit id of a revision that the mirror has: an id, or the mirrored ref's name, or `HEAD~2`."""
        check_ref(revision)
        wanted = revision
        for name in ("HEAD", self._ref):
            if revision == name or revision.startswith((f"{name}~", f"{name}^")):
                wanted = _TRACKED + revision.removeprefix(name)
        arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{wanted}^{{commit}}"]
        status, out, _ = self._git(self._path, arguments)
        if status:
            message = f"{redact(self._url)} has no commit {revision} in {self._ref}"
            raise SourceError("no-such-ref", message, remedy="name a commit of that branch; fetch if it is new")
        return out.decode().strip()

    def read(self, revision: str, *, root: str = "") -> Tree:
        """Every file beneath `root` at a revision, from the object store. Links and submodules are not followed."""
        commit = self.resolve(revision)
        arguments = ["ls-tree", "-r", "-z", "-l", "--full-tree", commit]
        if (beneath := posixpath.normpath(root)) != ".":
            arguments += ["--", beneath]
        status, listing, said = self._git(self._path, arguments)
        if status:
            raise self._corrupt(said)
        with self._objects() as content:
            return self._tree(commit, listing, content)

    def _tree(self, commit: str, listing: bytes, content: Callable[[str], bytes]) -> Tree:
        files: dict[str, File] = {}
        others: list[str] = []
        for entry in filter(None, listing.split(b"\0")):
            meta, _, raw = entry.partition(b"\t")
            mode, _, oid, size = meta.decode().split()
            path = os.fsdecode(raw)
            if not path.isprintable() or _UNSAFE_PARTS & set(path.lower().split("/")):
                others.append(f"{path!r}: has a name that is not safe to use")
            elif mode == _SUBMODULE:
                others.append(f"{path}: is a submodule, and submodules are not followed")
            elif mode == _LINK:
                files[path] = File(content=b"", absent="is a symbolic link, and links are not followed")
            elif not size.isdigit():  # `BAD`: the object is not there
                raise self._corrupt(f"the content of {path} is missing")
            elif absent := too_large(int(size)):
                files[path] = File(content=b"", absent=absent)
            else:
                files[path] = File(content=content(oid), executable=_REGULAR.get(mode, False))
            if len(files) > MAX_FILES:
                raise too_many(f"{redact(self._url)} at {commit}")
        return tree_of(commit, files, tuple(others))

    @contextmanager
    def _objects(self) -> Iterator[Callable[[str], bytes]]:
        """A function from object id to content, over one `git cat-file --batch`."""
        git = Git(self._path)
        git.update_environment(**_environment(), GIT_DIR=str(self._path))

        def content(oid: str) -> bytes:
            try:
                return bytes(git.get_object_data(oid)[3])
            except (ValueError, OSError) as error:
                raise self._corrupt(str(error)) from None

        try:
            yield content
        finally:
            git.clear_cache()

    def _look_up(self) -> tuple[str, str]:
        """The full name and the object id of the ref at the other side."""
        full = self._ref == "HEAD" or self._ref.startswith("refs/")
        names = [self._ref] if full else [f"refs/heads/{self._ref}", f"refs/tags/{self._ref}"]
        refs = self._ls_remote(names)
        for name in names:
            if name in refs:
                return name, refs[name]
        branches = [name.removeprefix("refs/heads/") for name in self._ls_remote(["refs/heads/*"])]
        message = f"{redact(self._url)} has no branch or tag {self._ref}"
        remedy = f"use one of: {', '.join(sorted(branches)[:10])}" if branches else "push a first commit to it"
        raise SourceError("no-such-ref", message, remedy=remedy)

    def _ls_remote(self, patterns: Sequence[str]) -> dict[str, str]:
        status, out, said = self._git(None, ["ls-remote", "--quiet", "--", self._url, *patterns])
        if status:
            raise explain_failure(self._url, said, timeout=self._timeout)
        lines = (line.partition("\t") for line in out.decode(errors="replace").splitlines())
        return {name: oid for oid, _, name in lines}

    def _fetch_into(self, path: Path, name: str, tip: str = "") -> str:
        if not tip or tip != self._commit(path):
            arguments = ["fetch", "--quiet", "--no-tags", "--force", "--no-write-fetch-head", "--", self._url]
            status, _, said = self._git(path, [*arguments, f"+{name}:{_TRACKED}"])
            if status:
                raise explain_failure(self._url, said, timeout=self._timeout)
        if commit := self._commit(path):
            return commit
        raise self._corrupt("the fetched commit is not there")

    def _clone(self, name: str) -> str:
        """Builds the mirror beside its place and moves it there, so that a half-made one is never seen."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f"{self._path.name}.tmp-", dir=self._path.parent))
        replaced = fresh.with_name(f"{fresh.name}-old")
        try:
            template = ["init", "--quiet", "--bare", "--template=", str(fresh)]
            status, _, said = self._git(None, template)
            if status:
                raise self._corrupt(said)
            commit = self._fetch_into(fresh, name)
            if self._path.exists():
                self._path.rename(replaced)
            fresh.rename(self._path)
            return commit
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(replaced, ignore_errors=True)

    def _commit(self, path: Path) -> str:
        """The tracked commit, or an empty text where it or its tree cannot be read."""
        status, out, _ = self._git(path, ["rev-parse", "--verify", "--quiet", f"{_TRACKED}^{{commit}}"])
        commit = out.decode().strip()
        if status or self._git(path, ["rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}"])[0]:
            return ""
        return commit

    def _is_healthy(self, *, thorough: bool = False) -> bool:
        if (self._path / _DAMAGED).exists() or not (self._path / "HEAD").is_file():
            return False
        if self._git(self._path, ["rev-parse", "--git-dir"])[0]:
            return False
        has_ref = self._git(self._path, ["show-ref", "--verify", "--quiet", _TRACKED])[0] == 0
        return has_ref and not (thorough and self._git(self._path, ["fsck", "--connectivity-only"])[0])

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
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _corrupt(self, said: str) -> SourceError:
        """The error for damage; leaves a mark on the mirror, so that the next fetch builds it anew."""
        if self._path.is_dir():
            (self._path / _DAMAGED).touch()
        message = f"the mirror {self._path} of {redact(self._url)} is damaged: {redact(said.strip(), self._url)}"
        return SourceError("corrupt", message, remedy="fetch again, which repairs it; else delete that directory")

    def _git(self, path: Path | None, arguments: list[str]) -> tuple[int, bytes, str]:
        """Exit status, output and what was said on stderr; a timeout is a status of its own making."""
        where = [f"--git-dir={path}"] if path else []
        options = ["core.hooksPath=/dev/null", "gc.autoDetach=false", "maintenance.autoDetach=false"]
        command = ["git", *where, *(part for option in options for part in ("-c", option)), *arguments]
        try:
            status, out, said = Git(self._path.parent).execute(
                command,
                env=_environment(),
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                kill_after_timeout=self._timeout,
            )
        except GitCommandNotFound:
            message = "the command `git` was not found"
            raise SourceError("unreachable", message, remedy="install git and put it on PATH") from None
        assert isinstance(out, bytes)
        return int(status), out, str(said)


def _environment() -> dict[str, str]:
    """No prompts, no surprises in protocols, plain English."""
    environment = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
    }
    if "GIT_SSH_COMMAND" not in os.environ and "GIT_SSH" not in os.environ:
        environment["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    return environment
