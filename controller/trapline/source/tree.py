"""What a source hands on: the files of one revision, and what was left out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trapline.config.files import File
from trapline.errors import TraplineError

MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 50_000

Code = Literal["unreachable", "no-such-ref", "not-a-repository", "refused-url", "corrupt", "too-many-files"]


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


def too_large(size: int) -> str:
    """Why a file of this size has no content; empty for one within the limit."""
    return f"is {size:,} bytes long, and {MAX_FILE_BYTES:,} are the most" if size > MAX_FILE_BYTES else ""


def tree_of(revision: str, files: Mapping[str, File], others: tuple[str, ...] = ()) -> Tree:
    """A Tree whose `skipped` lists the absent files and the others."""
    absent = (f"{path}: {file.absent}" for path, file in files.items() if file.absent)
    return Tree(revision, files, tuple(sorted([*absent, *others])))


def too_many(where: str) -> SourceError:
    """The error for more files than anybody wrote by hand."""
    remedy = "keep only detections in this repository, or point at the folder that has them"
    return SourceError("too-many-files", f"{where} has more than {MAX_FILES:,} files", remedy=remedy)
