"""What a source hands on: the files of one revision, and what was left out of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from trapline.config.files import File
from trapline.errors import TraplineError

MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 50_000
MAX_TREE_BYTES = 256 * 1024 * 1024
_NARROW = "keep only detections in this repository, or name the folder that has them with --root"

Code = Literal[
    "unreachable",
    "no-access",
    "no-such-ref",
    "no-such-root",
    "not-a-repository",
    "refused-url",
    "corrupt",
    "unwritable",
    "too-many-files",
    "too-large",
    "unverified",
]


class SourceError(TraplineError):
    """The detections could not be read. `code` says which kind it is."""

    def __init__(self, code: Code, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one revision by their path from the repository's root.

    `skipped` names what has no content here, with the reason; a file among it is in `files` as absent, so that
    whoever needs it can say so.
    """

    revision: str
    files: Mapping[str, File]
    skipped: tuple[str, ...] = ()

    def beneath(self, root: str) -> Tree:
        """What is in one folder, with paths from there. Raises SourceError where there is no such folder."""
        clean = clean_root(root)
        if not clean:
            return self
        prefix = f"{clean}/"
        files = {path.removeprefix(prefix): file for path, file in self.files.items() if path.startswith(prefix)}
        skipped = tuple(short for note in self.skipped if (short := _shortened(note, prefix)))
        if not files and not skipped:
            raise no_such_root(clean, self.revision, self.files)
        return Tree(self.revision, files, skipped)


def clean_root(root: str) -> str:
    """A folder's path without what adds nothing, `` for the whole tree. Raises SourceError where it leads outside."""
    path = PurePosixPath(root)
    if path.is_absolute() or ".." in path.parts:
        remedy = "name a folder by its path from the repository's root, such as --root security/detections"
        raise SourceError("no-such-root", f"the root {root!r} leads out of the repository", remedy=remedy)
    return "/".join(path.parts)


def no_such_root(root: str, revision: str, paths: Iterable[str]) -> SourceError:
    """The error for a folder that a revision does not have; the remedy names those that are there."""
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    deepest = next((str(parent) for parent in PurePosixPath(root).parents if str(parent) in folders), ".")
    beside = sorted(folder for folder in folders - {"."} if str(PurePosixPath(folder).parent) == deepest)
    known = (
        f"use one of: {', '.join(beside[:10])}"
        if beside
        else f"there are no folders in {deepest if deepest != '.' else 'it'}"
    )
    return SourceError(
        "no-such-root", f"revision {revision[:12]} has no folder {root}", remedy=f"correct --root; {known}"
    )


def _shortened(note: str, prefix: str) -> str:
    """A line of `skipped` with its path from the folder; empty for one of another folder."""
    for quote in ("", "'", '"'):  # names that are not safe to print stand in quotes
        if note.startswith(quote + prefix):
            return quote + note.removeprefix(quote + prefix)
    return ""


def too_large(size: int) -> str:
    """Why a file of this size has no content; empty for one within the limit."""
    return f"is {size:,} bytes long, and {MAX_FILE_BYTES:,} are the most" if size > MAX_FILE_BYTES else ""


def tree_of(revision: str, files: Mapping[str, File], others: tuple[str, ...] = ()) -> Tree:
    """A Tree whose `skipped` lists the absent files and the others."""
    absent = (f"{path}: {file.absent}" for path, file in files.items() if file.absent)
    return Tree(revision, files, tuple(sorted([*absent, *others])))


def too_many(where: str) -> SourceError:
    """The error for more files than anybody wrote by hand."""
    return SourceError("too-many-files", f"{where} has more than {MAX_FILES:,} files", remedy=_NARROW)


def too_much(where: str, size: int) -> SourceError:
    """The error for more content than anybody wrote by hand."""
    message = f"the files of {where} have {size:,} bytes together, and {MAX_TREE_BYTES:,} are the most"
    return SourceError("too-large", message, remedy=_NARROW)
