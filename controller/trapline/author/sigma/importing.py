"""Sigma rules into a folder of detections: which folder is whose, and what is left as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trapline.author.sigma.convert import Converted, convert
from trapline.author.sigma.documents import read_rules, rule_files
from trapline.config.document import Document
from trapline.detection.parse import parse
from trapline.errors import Problem, TraplineError

_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Written:
    """A detection that was written, and the file of its rule."""

    name: str
    folder: Path
    source: str
    rule: Converted


def import_rules(paths: Iterable[Path], into: Path, *, table: str, force: bool) -> tuple[list[Written], list[Problem]]:
    """Writes each rule that can be converted to a folder below `into`, and says of each other why it is not.

    A rule is the detection of the same id, whatever its folder is called. Raises TraplineError where nothing can be
    written at all.
    """
    folders = _known(into)
    taken: dict[str, str] = {}
    written: list[Written] = []
    problems: list[Problem] = []
    for file in rule_files(paths):
        documents, found = read_rules(file)
        problems += found
        for document in documents:
            name = folders.get(_id(document), _name(document, alone=len(documents) == 1))
            rule, found = convert(document, name=name, table=table)
            problems += found
            if rule is None:
                continue
            folder = into / name
            if refused := _refused(document, folder, taken.get(name), force=force):
                problems.append(refused)
                continue
            taken[name] = document.path
            if identity := _id(document):
                folders[identity] = name
            _write(folder, rule)
            written.append(Written(name, folder, document.path, rule))
    return written, problems


def _known(into: Path) -> dict[str, str]:
    """The folders of the detections that are there, by their ids."""
    found: dict[str, str] = {}
    for file in sorted(into.glob("*/detection.yml")):
        try:
            identity = parse(str(file), file.read_bytes()).id
        except OSError:
            continue
        if identity:
            found.setdefault(identity.lower(), file.parent.name)
    return found


def _id(document: Document) -> str:
    return str(document.data.get("id") or "").lower()


def _name(document: Document, *, alone: bool) -> str:
    """The name of the rule's file, where that has no other; else its title, as a name."""
    stem = Path(document.path).stem
    words = stem if alone else str(document.data.get("title") or stem)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:_NAME_LENGTH].strip("_")
    return name or f"sigma_{_id(document)[:8] or 'rule'}".rstrip("_")


def _refused(document: Document, folder: Path, before: str | None, *, force: bool) -> Problem | None:
    if before is not None:
        message = f"another rule is `{folder.name}` already, that of {before}"
        return document.problem(("title",), "duplicate-name", message, "give one of the two another title or id")
    if folder.exists() and not force:
        message = f"{folder} is there already, and nothing is overwritten"
        return document.problem(("title",), "duplicate-name", message, "overwrite it with --force, or remove it")
    return None


def _write(folder: Path, rule: Converted) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "detect.py").write_text(rule.script, encoding="utf-8")
        (folder / "detection.yml").write_text(rule.config, encoding="utf-8")
    except OSError as error:
        message = f"{error.filename} cannot be written: {error.strerror}"
        raise TraplineError(message, remedy="name a folder that you may write to with --into") from error
