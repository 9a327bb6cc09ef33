"""Looking through indexes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trapline.author.registry.index import Entry, Index, Pack
from trapline.detection.model import Severity
from trapline.packs.choose import is_about

_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What all that is found fulfils. `severity` is the least; of the others it is one of those named, if any are."""

    tags: Sequence[str] = ()
    attack: Sequence[str] = ()
    severity: Severity | None = None
    tables: Sequence[str] = ()

    def takes(self, entry: Entry) -> bool:
        return (
            (not self.tags or not set(self.tags).isdisjoint(entry.tags))
            and (not self.attack or any(is_about(entry.attack, one) for one in self.attack))
            and (self.severity is None or entry.severity.rank >= self.severity.rank)
            and (not self.tables or not set(self.tables).isdisjoint(entry.tables))
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A detection of a pack."""

    pack: Pack
    entry: Entry

    @property
    def name(self) -> str:
        return f"{self.pack.name}/{self.entry.name}"


def search(indexes: Iterable[Index], words: Sequence[str], wanted: Wanted) -> list[Hit]:
    """What has all of the words somewhere, the best first: a name says more than a description."""
    asked = [word.lower() for text in words for word in text.split()]
    scored = []
    for hit in _all(indexes):
        scores = [_score(hit.entry, word) for word in asked]
        if all(scores) and wanted.takes(hit.entry):
            scored.append((-sum(scores), hit.name, hit))
    return [hit for _, _, hit in sorted(scored, key=lambda one: one[:2])]


def named(indexes: Iterable[Index], name: str) -> list[Hit]:
    """The detections with a name, which may have that of the pack in front."""
    return [hit for hit in _all(indexes) if name in (hit.name, hit.entry.name)]


def _all(indexes: Iterable[Index]) -> Iterator[Hit]:
    for index in indexes:
        for entry in index.detections:
            yield Hit(index.pack, entry)


def _score(entry: Entry, word: str) -> int:
    """How much a detection is about a word; 0 where it is not."""
    return (
        20 * (word == entry.name.lower())
        + _in_text(entry.name, word, whole=10, part=5)
        + _in_text(entry.display_name, word, whole=8, part=4)
        + _in_list(entry.tags, word, whole=8, part=3)
        + 8 * is_about(entry.attack, word)
        + _in_list(entry.tables, word, whole=6, part=2)
        + _in_text(entry.description, word, whole=2, part=1)
    )


def _in_text(text: str, word: str, *, whole: int, part: int) -> int:
    text = text.lower()
    if word not in text:
        return 0
    return whole if word in _WORDS.findall(text) else part


def _in_list(values: Iterable[str], word: str, *, whole: int, part: int) -> int:
    lowered = [value.lower() for value in values]
    if word in lowered:
        return whole
    return part if any(word in value for value in lowered) else 0
