"""Detections put in their places on the matrix, and how much of it that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trapline.author.attack import known, places
from trapline.detection.model import Detection


@dataclass(frozen=True, slots=True)
class Place:
    """A tactic, or a technique or sub-technique under it, and the detections that name it, by name."""

    id: str
    detections: Sequence[Detection] = ()

    @property
    def name(self) -> str:
        return known()[self.id].name

    @property
    def enabled(self) -> Sequence[Detection]:
        return [one for one in self.detections if one.config.enabled]

    @property
    def disabled(self) -> Sequence[Detection]:
        return [one for one in self.detections if not one.config.enabled]


@dataclass(frozen=True, slots=True)
class Tactic:
    """`itself` is named by the detections that name the tactic and no technique. The `techniques` named under it are
    by id; one stands before its sub-techniques, and is there for their sake too.

    `possible` are the techniques that there are under it on the platforms, `covered` those of them that an enabled
    detection names, and `others` are covered on other platforms alone. A sub-technique counts for its technique.
    """

    itself: Place
    techniques: Sequence[Place]
    possible: frozenset[str]
    covered: frozenset[str]
    others: frozenset[str]

    @property
    def enabled(self) -> Collection[str]:
        """The names of all enabled detections under it."""
        return {one.name for place in (self.itself, *self.techniques) for one in place.enabled}


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every tactic, in ATT&CK's order. `platforms` are those that the counts are of."""

    platforms: Sequence[str]
    tactics: Sequence[Tactic]
    detections: Sequence[Detection]

    @property
    def possible(self) -> frozenset[str]:
        """The techniques of all tactics, each once; so are the others."""
        return frozenset(key for one in self.tactics for key in one.possible)

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(key for one in self.tactics for key in one.covered)

    @property
    def others(self) -> frozenset[str]:
        return frozenset(key for one in self.tactics for key in one.others) - self.covered

    @property
    def silent(self) -> Sequence[Detection]:
        """Those that stand nowhere on it."""
        return [one for one in self.detections if not any(places(text) for text in one.config.reports.attack)]


def matrix_of(detections: Sequence[Detection], *, platforms: Collection[str]) -> Matrix:
    """Puts detections on the matrix; an id that is wrong has no place there."""
    detections = sorted(detections, key=lambda one: one.name)
    named: dict[str, dict[str, list[Detection]]] = defaultdict(lambda: defaultdict(list))
    for detection in detections:
        for tactic, technique in dict.fromkeys(
            place for text in detection.config.reports.attack for place in places(text)
        ):
            named[tactic][technique or tactic].append(detection)
    tactics = [_tactic(key, named[key], platforms) for key in known() if key.startswith("TA")]
    return Matrix(sorted(platforms), tactics, detections)


def technique_of(key: str) -> str:
    """The technique that an id is of: T1078 for T1078.004."""
    return key.partition(".")[0]


def _tactic(tactic: str, named: Mapping[str, Sequence[Detection]], platforms: Collection[str]) -> Tactic:
    techniques = {key: Place(key, detections) for key, detections in named.items() if key != tactic}
    shown = {one for key in techniques for one in (key, technique_of(key))}
    live = {key for key, place in techniques.items() if place.enabled}
    on_them = set(_on(platforms, tactic))
    covered = frozenset(map(technique_of, live & on_them))
    return Tactic(
        itself=Place(tactic, named.get(tactic, ())),
        techniques=[techniques.get(key) or Place(key) for key in sorted(shown)],
        possible=frozenset(map(technique_of, on_them)),
        covered=covered,
        others=frozenset(map(technique_of, live)) - covered,
    )


def _on(platforms: Collection[str], tactic: str) -> Iterator[str]:
    for key, entry in known().items():
        if tactic in entry.tactics and not entry.instead and not set(platforms).isdisjoint(entry.platforms):
            yield key
