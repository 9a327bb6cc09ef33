"""Rate limits: exact over every period, whenever something is sent."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from trapline.delivery.rate import Meter
from trapline_plugins.api import Rate
from trapline_plugins.samples import NOW

SECOND = timedelta(seconds=1)


def test_so_many_at_once_and_then_no_more_for_the_period() -> None:
    meter = Meter(Rate(3, 10 * SECOND))
    for left in (3, 2, 1):
        assert (meter.left(NOW), meter.free_at(NOW)) == (left, NOW)
        meter.count(NOW)
    assert (meter.left(NOW), meter.free_at(NOW)) == (0, NOW + 10 * SECOND)
    assert meter.left(NOW + 9 * SECOND) == 0
    assert meter.left(NOW + 10 * SECOND) == 3


def test_a_clock_that_is_set_back_holds_nothing_up() -> None:
    meter = Meter(Rate(1, SECOND))
    meter.count(NOW + timedelta(days=365))
    assert meter.left(NOW) == 1


@given(st.integers(1, 5), st.integers(1, 60), st.lists(st.integers(0, 30), max_size=60))
def test_no_period_ever_has_more(count: int, seconds: int, pauses: list[int]) -> None:
    meter, now, sent = Meter(Rate(count, seconds * SECOND)), NOW, []
    for pause in pauses:
        now += pause * SECOND
        if meter.left(now) > 0:
            meter.count(now)
            sent.append(now)
        else:
            assert len(sent) >= count
    for at in sent:
        assert sum(at <= other < at + seconds * SECOND for other in sent) <= count
