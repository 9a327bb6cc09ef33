"""Files of Sigma rules read strictly, each rule a document that knows the lines of its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from trapline.config.document import MAX_BYTES, Document, UnreadableConfig, read_document
from trapline.config.strict import LOADER
from trapline.errors import Problem, TraplineError

_SUFFIXES = (".yml", ".yaml")


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and those below the folders that are, in order. Raises TraplineError for none."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
        found |= dict.fromkeys(inside if path.is_dir() else [path])
    if not found:
        raise TraplineError("there are no Sigma rules there", remedy="name files or folders of .yml or .yaml")
    return list(found)


def read_rules(file: Path) -> tuple[list[Document], list[Problem]]:
    """The documents of one file that can be read, and what is wrong with the others; never raises for what it holds."""
    path = str(file)
    try:
        with file.open("rb") as source:
            content = source.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        return [], [Problem(path, 0, "error", "file-not-read", message, "see whether you may")]
    if len(content) > MAX_BYTES:
        message = f"the file has more than {MAX_BYTES:,} bytes"
        return [], [Problem(path, 0, "error", "too-large", message, "split it into files of fewer rules")]
    documents: list[Document] = []
    problems: list[Problem] = []
    for first, part in _parts(content):
        try:
            documents.append(read_document(path, part))
        except UnreadableConfig as error:
            line = error.problem.line and max(error.problem.line, first)
            problems.append(replace(error.problem, line=line))
    return documents, problems


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The first line of each document, and its text, behind as many empty lines as there are before it.

    What is no text, or no YAML, is left to who reads the part that it is in.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        yield 1, content
        return
    lines = text.split("\n")
    starts = _starts(text)
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        part = lines[start:end]
        if len(starts) == 1 or any(line.strip() and not line.startswith(("#", "---", "...")) for line in part):
            yield start + 1, ("\n" * start + "\n".join(part)).encode()


def _starts(text: str) -> list[int]:
    """The lines, from 0, at which documents begin; the first is always 0."""
    found: list[int] = []
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.DocumentStartEvent) and event.start_mark:
                found.append(event.start_mark.line)  # noqa: PERF401 - what was found until an error counts
    except (yaml.YAMLError, ValueError):
        pass  # it is found again, and told, where the last of the parts is read
    return [0, *found[1:]]
