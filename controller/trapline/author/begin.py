"""The beginning of a detection: a rule that finds nothing yet, and a test that fails until it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template

from pydantic import ValidationError

from trapline.author.attack import doubt
from trapline.config.words import did_you_mean
from trapline.detection.model import Detection, DetectionConfig, Mode, Severity
from trapline.errors import TraplineError

_TABLE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a detection of: its name, table, severity and techniques, and how it is called."""

    name: str
    table: str
    mode: Mode = Mode.RECORD
    severity: Severity = Severity.MEDIUM
    attack: Sequence[str] = ()


def begin(wish: Wish, root: Path, *, known: Iterable[Detection], tables: Sequence[str], now: datetime) -> list[Path]:
    """Writes `detections/NAME` into a repository, and returns its files. Raises TraplineError; nothing is overwritten.

    `known` are the detections that the repository has, `tables` what its trapline.yml names; where that is nothing any
    table will do.
    """
    _check(wish, tables)
    for detection in known:
        if wish.name in (detection.name, detection.identity):
            message = f"there is a detection of that name already: {detection.path}"
            raise TraplineError(message, remedy="choose another name")
    folder = root / "detections" / wish.name
    try:
        folder.mkdir(parents=True)
        return [_write(folder / name, wish, now) for name in (wish.mode.script, wish.mode.config)]
    except FileExistsError:
        remedy = "choose another name, or remove it"
        raise TraplineError(f"{folder} is there already, and nothing is overwritten", remedy=remedy) from None
    except OSError as error:
        raise TraplineError(
            f"{error.filename} cannot be written: {error.strerror}", remedy="see whether you may"
        ) from None


def _check(wish: Wish, tables: Sequence[str]) -> None:
    try:
        DetectionConfig(name=wish.name, tables=("any",))
    except ValidationError as error:
        reason = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise TraplineError(f"{wish.name!r} is no name for a detection: {reason}", remedy="choose another") from None
    if tables and wish.table not in tables:
        near = did_you_mean(wish.table, tables) or f"there are: {', '.join(sorted(tables))}"
        raise TraplineError(f"trapline.yml names no table {wish.table!r}", remedy=near)
    if not _TABLE.fullmatch(wish.table):
        remedy = "small letters, digits and `_`, beginning with a letter"
        raise TraplineError(f"{wish.table!r} is no name for a table", remedy=remedy)
    for technique in wish.attack:
        if found := doubt(technique):
            raise TraplineError(found.message, remedy=found.remedy)


def _write(file: Path, wish: Wish, now: datetime) -> Path:
    template = files("trapline.author") / "skeleton" / f"{file.name}.txt"
    words = re.sub(r"[-_.]+", " ", wish.name).strip()
    filled = Template(template.read_text()).substitute(
        name=wish.name,
        display_name=words[:1].upper() + words[1:],
        table=wish.table,
        severity=wish.severity.value,
        attack=json.dumps([technique.lower() for technique in wish.attack]),
        moment=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    file.write_text(filled)
    return file
