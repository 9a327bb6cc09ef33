"""Which alerts of two versions are the same: each is told once, and which side is called base makes no difference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trapline.author.change.pairing import Pairing, pairing
from trapline.author.history.past import PastAlert, PastMatch
from trapline.detection.model import Severity

AT = datetime(2026, 1, 1, tzinfo=UTC)


def alert(*keys: str, **fields: Any) -> PastAlert:
    """An alert of the matches with these keys."""
    said = {"title": "t", "dedupe": "d", "severity": Severity.LOW, "destinations": (), "context": {}} | fields
    matches = {key: PastMatch(AT, said["title"], None) for key in keys}
    return PastAlert(
        **{"description": None, "runbook": None, "match_count": len(keys), "table": "logs"} | said,
        first_match_at=AT,
        last_match_at=AT,
        matches=matches,
    )


@st.composite
def versions(draw: st.DrawFn) -> list[PastAlert]:
    """The alerts of a version: each match is of one of them."""
    owner = draw(st.lists(st.integers(-1, 4), min_size=12, max_size=12))
    groups = [[f"m{key}" for key, whose in enumerate(owner) if whose == number] for number in range(5)]
    return [
        alert(*keys, title=draw(st.sampled_from("ab")), dedupe=draw(st.sampled_from("cd"))) for keys in groups if keys
    ]


def ids(alerts: Sequence[PastAlert]) -> list[int]:
    return [id(one) for one in alerts]


@given(versions(), versions())
def test_every_alert_is_told_once(base: list[PastAlert], head: list[PastAlert]) -> None:
    found = pairing(base, head)
    pairs = [*found.changed, *found.same]
    assert sorted(ids(base)) == sorted(ids(found.removed) + [id(pair.base) for pair in pairs])
    assert sorted(ids(head)) == sorted(ids(found.added) + [id(pair.head) for pair in pairs])
    assert all(pair.base.matches.keys() & pair.head.matches.keys() for pair in pairs)
    assert all(pair.fields for pair in found.changed)


@given(versions())
def test_a_version_does_not_differ_from_itself(alerts: list[PastAlert]) -> None:
    found = pairing(alerts, alerts)
    assert found.empty
    assert len(found.same) == len(alerts)


@given(versions(), versions())
def test_what_is_added_one_way_is_removed_the_other(base: list[PastAlert], head: list[PastAlert]) -> None:
    there, back = pairing(base, head), pairing(head, base)
    assert (ids(there.added), ids(there.removed)) == (ids(back.removed), ids(back.added))
    assert {(id(one.base), id(one.head)) for one in there.changed} == {
        (id(one.head), id(one.base)) for one in back.changed
    }


def test_the_largest_share_wins() -> None:
    base = [alert("a", "b", "c", "d")]
    head = [alert("a", "x", "y", title="less"), alert("b", "c", "d", title="more")]
    found = pairing(base, head)
    assert [one.title for one in found.added] == ["less"]
    [pair] = found.changed
    assert pair.differences == [("title", "t", "more"), ("matches", "4", "3")]


def test_without_a_match_in_common_two_alerts_are_two() -> None:
    found = pairing([alert("a")], [alert("b")])
    assert (len(found.added), len(found.removed)) == (1, 1)


def test_what_has_changed_is_said_in_words() -> None:
    base = alert("a", context={"b": 1}, destinations=("soc", "page"), runbook=None)
    head = alert("a", context={"b": 2}, destinations=("soc",), runbook="call", severity=Severity.HIGH)
    [pair] = pairing([base], [head]).changed
    assert pair.differences == [
        ("severity", "low", "high"),
        ("destinations", "soc, page", "soc"),
        ("runbook", "", "call"),
        ("context", '{"b": 1}', '{"b": 2}'),
    ]


def test_nothing_and_nothing() -> None:
    assert pairing([], []) == Pairing([], [], [], [])
