"""What is said of a script without running it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.detection.lint import lint, lint_module
from trapline.detection.model import Mode
from trapline.errors import Problem

DETECT = "def detect(record):\n    return True\n"


def check(source: str | bytes, mode: Mode = Mode.RECORD) -> list[Problem]:
    name = "detect.py" if mode is Mode.RECORD else "detection.py"
    return lint("detections/x", name, source if isinstance(source, bytes) else source.encode(), mode)


def test_the_documents_first_sample_reads_an_undefined_name(sample_script: str) -> None:
    [problem] = check(sample_script)
    assert (problem.path, problem.line, problem.column) == ("detections/x/detect.py", 5, 13)
    assert (problem.severity, problem.code, problem.message) == ("error", "undefined-name", "undefined name 'event'")
    assert problem.remedy == 'read it from the record: record.deepget("event.outcome")'


def test_the_documents_other_samples_are_fine() -> None:
    assert (
        check(
            DETECT
            + """
def title(record) -> str:
    user_name = record.deepget("user.name")
    return f"{user_name} - Elevated login failures"

def dedupe(record) -> str:
    return record.deepget("user.name")

def severity(r):
    return (
        "medium"
        if "admin" in r.deepget("event.category")
        else "low"
    )

def destinations(r):
    return [
        "my_pagerduty_main", "my_slack_secops"
        if "admin" in r.deepget("event.category")
        else "my_slack_secops"
    ]
"""
        )
        == []
    )


def test_columns_count_characters() -> None:
    [problem] = check('def detect(record):\n    return "é" == undefined\n')
    assert (problem.line, problem.column) == (2, 19)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (
            "def detect(r):\n    return user.identity.name == 1\n",
            'read it from the record: r.deepget("user.identity.name")',
        ),
        ("def detect(record):\n    return os.environ\n", "add `import os` at the top"),
        ("def detect(record):\n    return recrod\n", "did you mean `record`?"),
        ("def detect(record):\n    return zzz\n", "define it, import it, or correct its spelling"),
    ],
)
def test_remedies_for_undefined_names(source: str, remedy: str) -> None:
    [problem] = check(source)
    assert (problem.severity, problem.code, problem.remedy) == ("error", "undefined-name", remedy)


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("def detect(record)\n    return 1\n", "python-syntax", 1),
        ("def detect(record):\nreturn 1\n", "python-syntax", 2),
        (DETECT + "return 5\n", "python-syntax", 3),
        ("def title(record):\n    return ''\n", "no-detect", 0),
        ("", "no-detect", 0),
        ("def detect():\n    return True\n", "wrong-parameters", 1),
        ("def detect(a, b):\n    return True\n", "wrong-parameters", 1),
        ("def detect(record, *, key):\n    return True\n", "wrong-parameters", 1),
        ("async def detect(record):\n    return True\n", "async-function", 1),
        ("def detect(record):\n    yield record\n", "generator", 1),
        ("def detect(record):\n    x = [y for y in record]\n    print(x)\n", "no-answer", 1),
        (DETECT + "def title():\n    return ''\n", "wrong-parameters", 3),
        (DETECT + "def alert_context(record, more):\n    return {}\n", "wrong-parameters", 3),
        (DETECT + "async def dedupe(record):\n    return ''\n", "async-function", 3),
        (DETECT + "def severity(record):\n    yield 'low'\n", "generator", 3),
        (b"def detect(record):\n    return '\xff'\n", "python-syntax", 0),
        (b"# coding: nonsense\n", "python-syntax", 0),
        (b"\0", "python-syntax", 0),
        (
            "def detect(record):\n    if record:\n        x = 1\n    return x.y + undefined_local()\n",
            "undefined-name",
            4,
        ),
    ],
)
def test_errors(source: str | bytes, code: str, line: int) -> None:
    errors = [p for p in check(source) if p.severity == "error"]
    assert [p.code for p in errors] == [code]
    assert errors[0].line == line or line == 0
    assert errors[0].message and errors[0].remedy


@pytest.mark.parametrize(
    "source",
    [
        "def detect(record, extra=1, *, key=2):\n    return True\n",
        "def detect(*args):\n    return True\n",
        "def detect(record, /):\n    return True\n",
        "detect = lambda record: True\n",
        "from rules import detect as detect\n__all__ = ['detect']\n",
        "from rules import make\ndetect = make(5)\n",
        "from rules import wrap\n@wrap\ndef detect(a, b):\n    return a\n",
        "try:\n    import re2 as re\nexcept ImportError:\n    import re\ndef detect(record):\n    return re.match\n",
        "if True:\n    def detect(record):\n        return True\n",
        "def detect(record):\n    return any(inner())\n\ndef inner():\n    yield 1\n",
        "def detect(record):\n    raise NotImplementedError\n",
        DETECT + "def destinations(record):\n    yield 'a'\n",
    ],
)
def test_no_errors(source: str) -> None:
    assert [p for p in check(source) if p.severity == "error"] == []


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("def detect(records):\n    for record in records:\n        yield {}\n", []),
        ("def detect(records):\n    return [{}]\n", []),
        ("def detect(records):\n    print(len(records))\n", ["no-answer"]),
        ("def detect(records):\n    yield from (r for r in records if event.x == 1)\n", ["undefined-name"]),
    ],
)
def test_the_batch_format(source: str, codes: list[str]) -> None:
    problems = check(source, Mode.BATCH)
    assert [p.code for p in problems] == codes
    assert all("records.deepget" not in p.remedy for p in problems)


def test_warnings_stop_nothing() -> None:
    problems = check("import os\nimport re\n" + "def detect(record):\n    unused = '\\d'\n    return True\n")
    assert {p.severity for p in problems} == {"warning"}
    assert {p.code for p in problems} == {"unused-import", "unused-variable", "python-warning"}


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000,
        "-" * 100_000 + "1",
        "x = " + "+".join("1" * 20_000),
        "x = " + "a." * 20_000 + "b",
        "x = " + "[" * 150 + "]" * 150,
        "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 200)),
        "x = " + "9" * 10_000,
        "x = '" + "y" * 2_000_000 + "'",
        "x = " + "lambda: " * 3000 + "1",
        "x = 9 ** 9 ** 9 ** 9",
        "@a\n" * 20_000 + DETECT,
    ],
    ids=lambda source: str(len(source)),
)
def test_weird_code_neither_crashes_nor_hangs(source: str) -> None:
    assert check(source)  # each at least lacks a function `detect`, or has an undefined name


@given(st.binary() | st.text().map(str.encode), st.sampled_from(Mode))
def test_lint_never_raises(source: bytes, mode: Mode) -> None:
    assert check(source, mode)  # none of these defines detect
    lint_module("x.py", source)
