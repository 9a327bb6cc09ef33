"""Ids of MITRE ATT&CK®: how they are written, and whether there are such, by a list that comes with Trapline.

The list is that of one version, for enterprises; `attack.tsv` names it, and says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

_WRITTEN = re.compile(r"(TA\d{4})(?::(T\d{4}(?:\.\d{3})?))?|(T\d{4}(?:\.\d{3})?)")
_VERSION = re.compile(r"version ([\d.]+)")
_COLUMNS = 5
_EXAMPLE = "write a tactic and a technique, such as ta0006:t1110 or ta0001:t1078.004, or one of them alone"

Code = Literal["attack-format", "unknown-attack-id", "attack-tactic", "retired-attack-id"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A tactic or technique. `instead` is what took its place: another id, or `deprecated` where nothing did.
    `platforms` are those of a technique that is in use, such as `IaaS`."""

    name: str
    tactics: tuple[str, ...] = ()
    instead: str = ""
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is wrong with an id."""

    code: Code
    message: str
    remedy: str


def doubt(text: str) -> Doubt | None:
    """What is wrong with an id such as `ta0006:t1110.001`, `t1110` or `ta0006`; None where nothing is."""
    if not (written := _WRITTEN.fullmatch(text.upper())):
        meant = next((key for key, entry in known().items() if entry.name.lower() == _plain(text)), "")
        remedy = f"did you mean `{meant.lower()}`?" if meant else _EXAMPLE
        return Doubt("attack-format", f"`{text}` is no id of ATT&CK", remedy)
    tactic, technique = written[1], written[2] or written[3]
    found = [one for one in (tactic, technique) if one and one not in known()]
    if found:
        return _unknown(found[0])
    if technique is None:
        return None
    entry = known()[technique]
    if entry.instead == "deprecated":
        message = f"ATT&CK has given up {technique} ({entry.name})"
        return Doubt("retired-attack-id", message, "choose what describes the behaviour today, or remove it")
    if entry.instead:
        message = f"{technique} ({entry.name}) is {entry.instead} ({known()[entry.instead].name}) by now"
        return Doubt("retired-attack-id", message, f"write {_suggested(entry.instead, tactic)}")
    if tactic and tactic not in entry.tactics:
        message = f"{technique} ({entry.name}) is not of the tactic {tactic} ({known()[tactic].name})"
        return Doubt("attack-tactic", message, f"write {_suggested(technique, None)}")
    return None


def places(text: str) -> Sequence[tuple[str, str]]:
    """Where an id stands in the matrix: each its tactic and technique, in capitals. The technique is empty where a
    tactic is named alone; a technique named alone stands under all its tactics. Nowhere, where there is a doubt."""
    written = _WRITTEN.fullmatch(text.upper())
    if not written or doubt(text):
        return ()
    tactic, technique = written[1], written[2] or written[3] or ""
    return [(one, technique) for one in ((tactic,) if tactic else known()[technique].tactics)]


@lru_cache(maxsize=1)
def known() -> Mapping[str, Entry]:
    """Every tactic, in the order of the matrix, and every technique, those that were given up too, by its id in
    capitals."""
    rows = (line.split("\t") for line in _text().splitlines() if not line.startswith("#"))
    padded = ([*row, *[""] * (_COLUMNS - len(row))] for row in rows)
    return {
        key: Entry(name, tuple(tactics.split()), instead, tuple(on.split(",")) if on else ())
        for key, name, tactics, instead, on in padded
    }


@lru_cache(maxsize=1)
def platforms() -> Sequence[str]:
    """Every platform that a technique is of, in the order of the alphabet."""
    return sorted({one for entry in known().values() for one in entry.platforms}, key=str.lower)


def version() -> str:
    """The version of ATT&CK that the list is of."""
    found = _VERSION.search(_text())
    return found[1] if found else ""


@lru_cache(maxsize=1)
def _text() -> str:
    return (files("trapline.author") / "attack.tsv").read_text(encoding="utf-8")


def _unknown(wanted: str) -> Doubt:
    remedy = f"correct it, unless it is of another matrix than Enterprise, or newer than version {version()}"
    technique, dot, _ = wanted.partition(".")
    if dot and (parent := known().get(technique)):
        inside = [key.partition(".")[2] for key, one in known().items() if _is_in(key, technique) and not one.instead]
        has = f"it has {inside[0]} to {inside[-1]}" if len(inside) > 1 else f"it has {inside[0]}" if inside else ""
        message = f"{wanted} is no sub-technique of {technique} ({parent.name})"
        return Doubt("unknown-attack-id", message, f"{has or 'it has none'}; {remedy}")
    kind = "tactic" if wanted.startswith("TA") else "technique"
    return Doubt("unknown-attack-id", f"{wanted} is no {kind} of ATT&CK Enterprise {version()}", remedy)


def _plain(text: str) -> str:
    """As names are compared: `credential-access` is Credential Access."""
    return text.strip().lower().replace("-", " ").replace("_", " ")


def _is_in(key: str, technique: str) -> bool:
    return key.startswith(f"{technique}.")


def _suggested(technique: str, tactic: str | None) -> str:
    """How the technique can be written: with the tactic that was meant, where it is of that."""
    tactics = known()[technique].tactics
    wanted = [tactic] if tactic in tactics else tactics
    return " or ".join(f"{one}:{technique}".lower() for one in wanted if one) or technique.lower()
