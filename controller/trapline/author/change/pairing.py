"""Which alerts of two versions are one and the same: those that have matches in common. Pure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trapline.author.history.past import PastAlert

COMPARED = ("title", "severity", "dedupe", "destinations", "description", "runbook", "context", "match_count")
"""What is said of an alert, and differs where the alert has changed."""
_WORDS = {"match_count": "matches"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One alert as both versions raise it, and which of `COMPARED` are not the same."""

    base: PastAlert
    head: PastAlert

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(name for name in COMPARED if getattr(self.base, name) != getattr(self.head, name))

    @property
    def differences(self) -> list[tuple[str, str, str]]:
        """What is not the same in words: what it is, before, and now."""
        return [(_WORDS.get(name, name), _text(self.base, name), _text(self.head, name)) for name in self.fields]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Every alert of both versions once: only in head, only in base, in both and not the same, in both."""

    added: Sequence[PastAlert] = ()
    removed: Sequence[PastAlert] = ()
    changed: Sequence[Pair] = ()
    same: Sequence[Pair] = ()

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def pairing(base: Sequence[PastAlert], head: Sequence[PastAlert]) -> Pairing:
    """Pairs the alerts of two versions of a detection by the matches that they share, the largest share first."""
    partner = _partners(base, head)
    pairs = [Pair(alert, head[partner[index]]) for index, alert in enumerate(base) if index in partner]
    taken = set(partner.values())
    return Pairing(
        added=[alert for index, alert in enumerate(head) if index not in taken],
        removed=[alert for index, alert in enumerate(base) if index not in partner],
        changed=[pair for pair in pairs if pair.fields],
        same=[pair for pair in pairs if not pair.fields],
    )


def _text(alert: PastAlert, name: str) -> str:
    value = getattr(alert, name)
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, Mapping):
        return json.dumps(value, default=str, ensure_ascii=False)
    return "" if value is None else str(value)


def _partners(base: Sequence[PastAlert], head: Sequence[PastAlert]) -> Mapping[int, int]:
    """For an alert of base that one of head is the same as, by their places, which that is."""
    holders: dict[str, list[int]] = defaultdict(list)
    for index, alert in enumerate(head):
        for key in alert.matches:
            holders[key].append(index)
    shared = Counter(
        (one, other) for one, alert in enumerate(base) for key in alert.matches for other in holders.get(key, ())
    )
    least = [[min(alert.matches, default="") for alert in side] for side in (base, head)]

    def order(pair: tuple[int, int]) -> tuple[float, bool, str, str]:
        """The largest share first; where shares are equal, the same whichever side is called base."""
        one, other = base[pair[0]], head[pair[1]]
        share = shared[pair] / (len(one.matches) + len(other.matches) - shared[pair])
        first, second = sorted((least[0][pair[0]], least[1][pair[1]]))
        return (-share, one.dedupe != other.dedupe, first, second)

    partner: dict[int, int] = {}
    taken: set[int] = set()
    for one, other in sorted(shared, key=order):
        if one not in partner and other not in taken:
            partner[one] = other
            taken.add(other)
    return partner
