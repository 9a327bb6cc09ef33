"""Whatever a script says, advising on it comes to an end, and does not fail."""

from __future__ import annotations

import ast
import inspect
import string
import textwrap
from collections.abc import Callable
from types import ModuleType

import pytest

from trapline.author.validation.advice import advise
from trapline.author.validation.advice.schemas import Schemas
from trapline.detection.model import Detection, DetectionConfig, File, Mode
from trapline.errors import Problem
from trapline.settings import Settings

RULE = """

def detect(record):
    return main(record)


def title(record):
    return f"{main(record)} {record}"
"""


def advice(source: str, mode: Mode) -> list[Problem]:
    config = DetectionConfig(name="one", tables=("aws_cloudtrail",))
    files = {mode.script: File(content=source.encode())}
    detection = Detection(config=config, mode=mode, path="detections/one", files=files)
    return advise(detection, Schemas(Settings()))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("module", [ast, string, textwrap])
def test_the_standard_library(module: ModuleType, mode: Mode) -> None:
    assert advice(inspect.getsource(module) + RULE, mode) == []


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def detect(",
        "\0",
        "globals()['detect'] = 1\n" + RULE,
        "def detect(record):\n    return " + "not " * 2_000 + "record\n",
        "def detect(record):\n    return record" + ".get('a')" * 2_000 + "\n",
        "def detect(record, record2):\n    return True\n\n\ndef title():\n    return f'{x}'\n",
        "class detect:\n    pass\n\n\ntitle = detect\n",
    ],
)
def test_what_nobody_writes(source: str) -> None:
    assert advice(source, Mode.RECORD) == []


def test_a_loop_of_names(said: Callable[..., list[Problem]]) -> None:
    script = RULE.replace("main(record)", "record.get('a')").replace(
        "    return f", "    record = str(record)\n    return f"
    )
    assert said(script) == []


def test_a_function_that_goes_ever_deeper() -> None:
    script = "def detect(record):\n    return walk(record)\n\n\ndef walk(part):\n    return walk(part['a'])\n"
    assert [problem.code for problem in advice(script, Mode.RECORD)] == ["unknown-column"]
