"""The clock over a rule: what takes too long is interrupted, and the other records of the batch get their verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pyarrow as pa
import pytest

from trapline_sandbox.columns import Fields
from trapline_sandbox.rule import Rule, Verdicts
from trapline_sandbox.watch import Watch

Over = Callable[..., Verdicts]


@pytest.fixture
def over(tmp_path: Path, fields_of: Callable[[pa.RecordBatch], Fields]) -> Over:
    """Runs a script over the records n = 0, 1, 2, 3, each of which may take so long."""

    def over(script: str, *, record_seconds: float = 0.2, batch_seconds: float = 60) -> Verdicts:
        (tmp_path / "detect.py").write_text(script)
        rule = Rule(tmp_path, "detect.py", "record", watch=Watch(record_seconds, batch_seconds))
        fields = fields_of(pa.RecordBatch.from_pydict({"n": [0, 1, 2, 3]}))
        return rule.run(fields, max_matches=100, max_failures=100)

    return over


@pytest.mark.parametrize(
    "stuck",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import re; re.match('(a|aa)+$', 'a' * 60 + '!')",
    ],
    ids=["loop", "sleep", "regex"],
)
@pytest.mark.parametrize("row", [0, 2, 3])
def test_a_record_on_which_a_rule_hangs_is_a_failure_of_that_record(over: Over, stuck: str, row: int) -> None:
    verdicts = over(f"def detect(r):\n    if r['n'] == {row}:\n        {stuck}\n    return True\n")
    assert [match["row"] for match in verdicts.matches] == [n for n in range(4) if n != row]
    (failure,) = verdicts.failures
    assert (failure["row"], failure["outcome"], failure["function"]) == (row, "timeout", "detect")
    assert (failure["file"], failure["line"]) == ("detect.py", 3)


def test_a_hang_outside_detect_costs_that_answer_alone(over: Over) -> None:
    verdicts = over("def detect(r): return r['n'] == 1\ndef title(r):\n    while True: pass\n")
    assert [match["row"] for match in verdicts.matches] == [1]
    assert [(f["function"], f["outcome"]) for f in verdicts.failures] == [("title", "timeout")]


def test_a_rule_that_swallows_the_exception_is_interrupted_again(over: Over) -> None:
    script = (
        "seen = []\ndef detect(r):\n    try:\n        while r['n'] == 1: pass\n    except BaseException:\n"
        "        seen.append(1)\n        while len(seen) < 3: pass\n    return True\n"
    )
    assert [failure["row"] for failure in over(script).failures] == [1]


def test_many_slow_records_are_not_one_that_hangs(over: Over) -> None:
    verdicts = over("import time\ndef detect(r):\n    time.sleep(0.4)\n    return True\n", record_seconds=1.2)
    assert len(verdicts.matches) == 4
    assert verdicts.failures == []


@pytest.mark.parametrize("function", ["detect", "title"])
def test_a_machine_so_slow_that_telling_takes_longer_than_a_look(
    over: Over, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    describe = Rule._describe

    def slowly(self: Rule, error: BaseException) -> tuple[str, str, int]:
        end = monotonic() + 0.4
        while monotonic() < end:
            sleep(0.01)
        return describe(self, error)

    monkeypatch.setattr(Rule, "_describe", slowly)
    hang = "    while r['n'] == 1: pass\n    return 'yes'\n"
    verdicts = over("def detect(r): return True\n" + f"def {function}(r):\n{hang}")
    assert [(f["row"], f["function"], f["outcome"]) for f in verdicts.failures] == [(1, function, "timeout")]
    assert [match["row"] for match in verdicts.matches] == [n for n in range(4) if function == "title" or n != 1]
