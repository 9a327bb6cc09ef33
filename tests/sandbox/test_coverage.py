"""Which lines of a detection's own files ran."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from trapline_sandbox.coverage import Coverage

SCRIPT = '''"""What it finds."""
import helper

LIMIT = 3


def detect(record):
    """Yes or no."""
    if record > LIMIT:
        return helper.weigh(
            record,
        )
    return [
        x
        for x in range(record)
    ]


class Never:
    def called(self):
        return 1
'''
HELPER = "def weigh(it):\n    return it\n\n\ndef other():\n    return lambda: 1\n"


@pytest.fixture(autouse=True)
def _no_trace_is_left() -> Iterator[None]:
    before, threads = sys.gettrace(), threading.gettrace()
    yield
    sys.settrace(before)
    threading.settrace(threads)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("detect.py", SCRIPT), ("helper.py", HELPER), ("broken.py", "def"), ("lib/geo.py", "X = 1\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/table.py").write_text("ROWS = 1\n")
    return tmp_path


def _load(folder: Path, name: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile((folder / f"{name}.py").read_text(), str(folder / f"{name}.py"), "exec"), module.__dict__)
    return module


@pytest.fixture
def detect(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Coverage, ModuleType]:
    coverage = Coverage(str(folder))
    monkeypatch.setitem(sys.modules, "helper", _load(folder, "helper"))
    return coverage, _load(folder, "detect")


def test_the_lines_that_hold_code_are_told_apart_by_whether_they_ran(detect: tuple[Coverage, ModuleType]) -> None:
    coverage, module = detect
    module.detect(2)
    told = coverage.told()
    assert set(told) == {"detect.py", "helper.py", "data/table.py"}
    assert told["detect.py"] == {"ran": [1, 2, 4, 7, 9, 13, 14, 15, 19, 20], "missing": [10, 11, 21]}
    assert told["helper.py"] == {"ran": [1, 5], "missing": [2, 6]}
    assert told["data/table.py"] == {"ran": [], "missing": [1]}
    module.detect(4)
    assert coverage.told()["detect.py"]["missing"] == [21]
    assert coverage.told()["helper.py"]["missing"] == [6]


def test_threads_of_the_rule_are_seen(detect: tuple[Coverage, ModuleType]) -> None:
    coverage, module = detect
    thread = threading.Thread(target=module.detect, args=(4,))
    thread.start()
    thread.join()
    assert 10 in coverage.told()["detect.py"]["ran"]


def test_it_goes_on_after_something_switched_it_off(detect: tuple[Coverage, ModuleType]) -> None:
    coverage, module = detect
    sys.settrace(None)
    coverage.told()
    module.detect(2)
    assert 13 in coverage.told()["detect.py"]["ran"]
