"""What a Sigma rule says about itself, as the config of a detection has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sigma.exceptions import SigmaError
from sigma.rule.rule import SigmaRule

from trapline.author.attack import doubt, known
from trapline.author.sigma.reasons import NotConverted
from trapline.detection.severity import Severity

_SEVERITIES = {
    "informational": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
_RUNS = ("", "stable", "test")
"""The statuses of rules that run as soon as they are merged. Its own author calls an experimental one noisy."""
_TECHNIQUE = re.compile(r"t\d{4}(\.\d{3})?")
_PLACES = {
    "Tag": "tags",
    "Value": "tags",
    "Level": "level",
    "Status": "status",
    "Identifier": "id",
    "Date": "date",
    "Modified": "modified",
    "Title": "title",
    "References": "references",
    "FalsePositives": "falsepositives",
    "Author": "author",
    "Description": "description",
    "Fields": "fields",
    "License": "license",
    "Name": "name",
    "Related": "related",
    "Taxonomy": "taxonomy",
    "Scope": "scope",
}
_DETECTION = {"any": {"eventName": "any"}, "condition": "any"}


@dataclass(frozen=True, slots=True)
class About:
    """The rule's own words. `doubts` are tags of ATT&CK that no list has, with what is wrong with them."""

    title: str
    id: str
    status: str
    severity: Severity
    description: str
    author: str
    license: str
    references: tuple[str, ...]
    false_positives: tuple[str, ...]
    created: date | None
    modified: date | None
    attack: tuple[str, ...]
    tags: tuple[str, ...]
    fields: tuple[str, ...]
    doubts: tuple[tuple[int, str, str], ...]

    @property
    def is_enabled(self) -> bool:
        return self.status in _RUNS


def about(data: Mapping[str, Any]) -> About:
    """The words of a rule whose `detection` is another matter. Raises NotConverted where they are not Sigma's."""
    try:
        rule = SigmaRule.from_dict({**data, "detection": _DETECTION})
    except SigmaError as error:
        kind = type(error).__name__.removeprefix("Sigma").removesuffix("Error")
        keys = (_PLACES[kind],) if kind in _PLACES else ()
        raise NotConverted(keys, "sigma-rule", str(error), "correct it as Sigma's specification has it") from None
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise NotConverted((), "sigma-rule", f"the rule cannot be read: {error}", "correct its values") from None
    written = [str(tag) for tag in rule.tags]
    attack, tags, doubts = _told_apart(written)
    return About(
        title=_line(rule.title),
        id=str(rule.id) if rule.id else "",
        status=str(rule.status) if rule.status else "",
        severity=_SEVERITIES[str(rule.level)] if rule.level else Severity.MEDIUM,
        description="\n".join(line.rstrip() for line in (rule.description or "").strip().splitlines()),
        author=_line(rule.author or ""),
        license=_line(rule.license or ""),
        references=_texts(rule.references),
        false_positives=_texts(rule.falsepositives),
        created=rule.date,
        modified=rule.modified,
        attack=attack,
        tags=tags,
        fields=_texts(rule.fields),
        doubts=doubts,
    )


def _line(text: str) -> str:
    """A text in one line, with nothing in it that is not seen."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _texts(values: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for value in values or () if (line := _line(str(value)))))


def _told_apart(tags: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, str, str], ...]]:
    """The ids of ATT&CK, the other tags, and what is wrong with those of ATT&CK that are left among the others."""
    names = {entry.name.lower().replace(" ", "-"): key for key, entry in known().items() if key.startswith("TA")}
    tactics: list[str] = []
    techniques: list[str] = []
    others: list[str] = []
    doubts: list[tuple[int, str, str]] = []
    for index, tag in enumerate(tags):
        word = tag.lower().removeprefix("attack.").replace("_", "-")
        if not tag.lower().startswith("attack."):
            others.append(_line(tag))
        elif word in names or word.upper() in names.values():
            tactics.append(names.get(word, word.upper()))
        elif not _TECHNIQUE.fullmatch(word):
            others.append(_line(tag))
        elif found := doubt(word):
            others.append(_line(tag))
            doubts.append((index, found.message, found.remedy))
        else:
            techniques.append(word.upper())
    return tuple(dict.fromkeys(_paired(tactics, techniques))), tuple(dict.fromkeys(others)), tuple(doubts)


def _paired(tactics: Sequence[str], techniques: Sequence[str]) -> Iterator[str]:
    """Each technique below those of the tactics that it is of, and alone where it is of none; then what tactics are
    left."""
    used = set()
    for technique in techniques:
        own = [tactic for tactic in tactics if tactic in known()[technique].tactics]
        used |= {*own}
        yield from (f"{tactic}:{technique}".lower() for tactic in own)
        if not own:
            yield technique.lower()
    yield from (tactic.lower() for tactic in tactics if tactic not in used)
