"""Reading a commit out of the object store: its listing, and those blobs that were not read before."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from trapline.config.files import File
from trapline.source.command import Done
from trapline.source.tree import MAX_FILES, MAX_TREE_BYTES, Tree, too_large, too_many, too_much, tree_of

Blobs = Mapping[str, File]
"""Files by object id: what one reading hands to the next, which then reads only what is new."""

MAX_LISTING_BYTES = MAX_FILES * 1024
"""A few trees that name each other over and over make a listing without an end; nobody's paths are this long."""

_EXECUTABLE, _LINK, _SUBMODULE = "100755", "120000", "160000"
_UNSAFE_PARTS = {"", ".", "..", ".git"}
_LONGEST_PART, _LONGEST_PATH = 255, 1024  # bytes; what file systems take of a name, and leave of a path
_LINKED = File(content=b"", absent="is a symbolic link, and links are not followed")


# What git says where the machine kept it from its work, which is no damage to what it worked on.
_OF_THE_MACHINE = (
    "out of memory",
    "cannot allocate memory",
    "resource temporarily unavailable",
    "too many open files",
    "no space left",
    "permission denied",
    "dubious ownership",
)


class Unreadable(Exception):
    """git did not hand out what it should have. `damaged` says whether the object store is why."""

    def __init__(self, done: Done, otherwise: str = "") -> None:
        super().__init__(done.said.strip() or otherwise or f"git ended with {done.status}, and without a word")
        self.damaged = shows_damage(done)


def shows_damage(done: Done) -> bool:
    """Whether git failed because of what it was to read: it was not killed, and the machine gave it what it needs."""
    return done.status >= 0 and not any(words in done.said.lower() for words in _OF_THE_MACHINE)


class Run(Protocol):
    """Runs git in the repository that is read."""

    def __call__(self, *arguments: str, feed: bytes = b"", most: int | None = None) -> Done: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a commit's listing."""

    mode: str
    oid: str
    path: str

    @property
    def left_out(self) -> str:
        """Why nothing of it is read; empty for files and links."""
        if not self.path.isprintable() or _UNSAFE_PARTS & set(self.path.lower().split("/")):
            return f"{self.path!r}: has a name that is not safe to use"
        if len(self.path.encode()) > _LONGEST_PATH or any(
            len(part.encode()) > _LONGEST_PART for part in self.path.split("/")
        ):
            return f"{self.path[:_LONGEST_PART]}…: has a name that is too long"
        if self.mode == _SUBMODULE:
            return f"{self.path}: is a submodule, and submodules are not followed"
        return ""


def list_entries(run: Run, commit: str, folder: str) -> list[Entry]:
    """Everything beneath a folder of a commit, `` for all of it. Raises Unreadable; SourceError for too many files."""
    within = ["--", folder] if folder else []
    done = run("ls-tree", "-r", "-z", "--full-tree", commit, *within, most=MAX_LISTING_BYTES)
    if len(done.out) > MAX_LISTING_BYTES or done.out.count(b"\0") > MAX_FILES:
        raise too_many(f"revision {commit[:12]}")
    if done.status:
        raise Unreadable(done)
    return [_entry(line) for line in done.out.split(b"\0") if line]


def read_entries(run: Run, commit: str, entries: Collection[Entry], known: Blobs) -> tuple[Tree, Blobs]:
    """The entries as a Tree, and the blobs that it took. Raises Unreadable; SourceError where they are too large."""
    others, usable = [], []
    for entry in entries:
        if reason := entry.left_out:
            others.append(reason)
        else:
            usable.append(entry)
    wanted = [entry.oid for entry in usable if entry.mode != _LINK]
    held = {oid: known[oid] for oid in wanted if oid in known}
    sizes = _sizes(run, set(wanted) - held.keys())
    lengths = sizes | {oid: len(file.content) for oid, file in held.items()}
    total = sum(lengths[oid] for oid in wanted if not too_large(lengths[oid]))
    if total > MAX_TREE_BYTES:
        raise too_much(f"revision {commit[:12]}", total)
    blobs = held | _read_blobs(run, sizes)
    return tree_of(commit, {entry.path: _file(entry, blobs) for entry in usable}, tuple(others)), blobs


def _entry(line: bytes) -> Entry:
    meta, _, path = line.partition(b"\t")
    mode, _, oid = meta.decode().split()
    return Entry(mode, oid, os.fsdecode(path))


def _file(entry: Entry, blobs: Blobs) -> File:
    if entry.mode == _LINK:
        return _LINKED
    file = blobs[entry.oid]
    return file.model_copy(update={"executable": True}) if entry.mode == _EXECUTABLE else file


def _read_blobs(run: Run, sizes: Mapping[str, int]) -> dict[str, File]:
    """The blobs with these sizes, without those that are too large to be read at all."""
    blobs = {oid: File(content=b"", absent=too_large(size)) for oid, size in sizes.items()}
    small = [oid for oid, file in blobs.items() if not file.absent]
    return blobs | {oid: File(content=content) for oid, content in _contents(run, small)}


def _sizes(run: Run, oids: Collection[str]) -> dict[str, int]:
    if not oids:
        return {}
    done = run("cat-file", "--batch-check=%(objectname) %(objectsize)", feed=_lines(oids))
    found = [line.split() for line in done.out.decode().splitlines()]
    missing = [oid for oid, size in found if not size.isdigit()]
    if done.status or missing or len(found) != len(oids):
        raise Unreadable(done, f"{len(missing)} objects are missing, {', '.join(missing[:3])} among them")
    return {oid: int(size) for oid, size in found}


def _contents(run: Run, oids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    if not oids:
        return
    done = run("cat-file", "--batch=%(objectname) %(objectsize)", feed=_lines(oids))
    at = 0
    for _ in oids:
        head, _, _ = done.out[at : at + 200].partition(b"\n")
        oid, _, size = head.decode().partition(" ")
        if not size.isdigit():
            raise Unreadable(done, f"the content of {oid} is missing")
        start = at + len(head) + 1
        at = start + int(size) + 1
        if at > len(done.out):
            raise Unreadable(done, f"the content of {oid} is cut short")
        yield oid, done.out[start : at - 1]


def _lines(oids: Collection[str]) -> bytes:
    return "".join(f"{oid}\n" for oid in oids).encode()
