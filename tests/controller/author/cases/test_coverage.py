"""Lines as people read them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trapline.author.cases import run as testing
from trapline.author.cases.coverage import Covered, covered, percent, ranges, shown
from trapline.config.files import File
from trapline.detection.model import Detection, DetectionConfig, Mode
from trapline.workers.interface import Lines


@given(st.sets(st.integers(1, 60)))
def test_ranges_say_each_line_once(lines: set[int]) -> None:
    said: list[int] = []
    for part in filter(None, ranges(sorted(lines)).split(", ")):
        start, _, end = part.partition("-")
        said += range(int(start), int(end or start) + 1)
    assert said == sorted(lines)


def test_ranges_are_as_few_as_can_be() -> None:
    assert ranges([7, 9, 10, 11, 13]) == "7, 9-11, 13"


def test_only_all_is_all() -> None:
    assert percent([]) == 100
    assert shown(percent([Covered("a", 1_000, [3])])) == "99%"
    assert shown(percent([Covered("a", 3, []), Covered("b", 1, [1])])) == "75%"


def test_files_that_a_detection_does_not_have_are_made_up() -> None:
    config = DetectionConfig(name="one", tables=("logs",))
    detection = Detection(config=config, mode=Mode.RECORD, path="one", files={"detect.py": File(content=b"1")})
    lines = Lines(ran=frozenset({1}), missing=frozenset({3, 2}))
    tested = testing.Tested(detection, coverage={"detect.py": lines, "../two/detect.py": lines})
    assert covered(tested) == [Covered("one/detect.py", 3, [2, 3])]
