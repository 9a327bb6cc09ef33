"""The arithmetic of alerts, rule by rule, and as properties over any matches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trapline.alerts.lifecycle import Moment, Span, assign

WINDOW = timedelta(minutes=15)
START = datetime(2026, 1, 1, tzinfo=UTC)


def moments(*minutes: float) -> list[Moment]:
    return [Moment(START + timedelta(minutes=m), f"m{m}") for m in minutes]


def joined(spans: list[Span]) -> list[list[str]]:
    return [[m.match_id for m in sorted(span.joined)] for span in spans]


def alone(new: list[Moment], threshold: int = 1) -> list[Span]:
    return assign(new, pending=[], known=[], threshold=threshold, window=WINDOW)


def test_a_single_match_opens_an_alert_at_threshold_one() -> None:
    [span] = alone(moments(3))
    assert span.start == START + timedelta(minutes=3)
    assert span.alert_id is None


def test_later_matches_inside_the_window_join_and_the_next_one_opens_another() -> None:
    assert joined(alone(moments(0, 5, 14.9, 15))) == [["m0", "m5", "m14.9"], ["m15"]]


def test_below_the_threshold_nothing_opens() -> None:
    assert alone(moments(0, 1, 2, 3), threshold=5) == []


def test_three_and_three_matches_in_two_batches_open_one_alert_at_threshold_five() -> None:
    first, second = moments(0, 1, 2), moments(3, 4, 5)
    assert assign(first, pending=[], known=[], threshold=5, window=WINDOW) == []
    [span] = assign(second, pending=first, known=[], threshold=5, window=WINDOW)
    assert joined([span]) == [["m0", "m1", "m2", "m3", "m4", "m5"]]
    assert span.start == START


def test_matches_spread_wider_than_the_window_do_not_add_up() -> None:
    assert alone(moments(0, 4, 8, 12, 16), threshold=5) == []


def test_a_window_is_found_by_sliding_not_by_a_grid() -> None:
    [span] = alone(moments(0, 10, 11, 12, 13, 14, 24.5), threshold=5)
    assert span.start == START  # five inside [0, 15): the first five of them
    assert joined([span]) == [["m0", "m10", "m11", "m12", "m13", "m14"]]


def test_later_matches_join_the_alert_that_is_open() -> None:
    [span] = assign(moments(14), pending=[], known=[Span(START, START + WINDOW, "a1")], threshold=5, window=WINDOW)
    assert (span.alert_id, joined([span])) == ("a1", [["m14"]])


def test_a_match_after_the_window_starts_counting_anew() -> None:
    assert assign(moments(15), pending=[], known=[Span(START, START + WINDOW, "a1")], threshold=2, window=WINDOW) == []


def test_late_data_completes_a_window_that_was_one_short() -> None:
    [span] = assign(moments(1), pending=moments(0, 2), known=[], threshold=3, window=WINDOW)
    assert joined([span]) == [["m0", "m1", "m2"]]


minutes = st.lists(st.integers(0, 300), max_size=60).map(lambda values: moments(*sorted(set(values))))


@given(minutes, st.integers(1, 6), st.data())
def test_how_matches_are_split_into_ticks_changes_nothing(
    matches: list[Moment], threshold: int, data: st.DataObject
) -> None:
    """The original loses 3 + 3 matches at threshold 5; here any split of ordered matches tells the same alerts."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(matches)), max_size=5)))
    pending: list[Moment] = []
    known: dict[datetime, list[str]] = {}
    for start, end in zip([0, *cuts], [*cuts, len(matches)], strict=True):
        tick = matches[start:end]
        spans = assign(
            tick,
            pending=pending,
            known=[Span(at, at + WINDOW, "known") for at in known],
            threshold=threshold,
            window=WINDOW,
        )
        for span in spans:
            known.setdefault(span.start, []).extend(m.match_id for m in sorted(span.joined))
        taken = {id for ids in known.values() for id in ids}
        pending = [m for m in [*pending, *tick] if m.match_id not in taken]
    whole = {span.start: [m.match_id for m in sorted(span.joined)] for span in alone(matches, threshold)}
    assert known == whole


@given(minutes, st.integers(1, 6))
def test_every_alert_has_its_threshold_inside_its_window_and_no_match_twice(
    matches: list[Moment], threshold: int
) -> None:
    spans = alone(matches, threshold)
    ids = [m.match_id for span in spans for m in span.joined]
    assert len(ids) == len(set(ids))
    for span in spans:
        assert len(span.joined) >= threshold
        assert all(span.start <= m.at < span.start + WINDOW for m in span.joined)
    # Nothing that could have alerted is left over.
    left = [m for m in matches if m.match_id not in ids]
    for first, last in zip(left, left[threshold - 1 :], strict=False):
        assert last.at - first.at >= WINDOW
