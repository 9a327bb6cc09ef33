"""Functions that never look at what they are given."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trapline.errors import Problem

Said = Callable[..., list[Problem]]
DETECT = 'def detect(record):\n    return record.deepget("event.action") == "x"\n'


def test_a_rule_that_never_looks(said: Said) -> None:
    [problem] = said("def detect(record):\n    return True\n")
    assert (problem.line, problem.column, problem.code) == (1, 12, "unused-parameter")
    assert problem.message == "`detect` never looks at `record`, and says the same of every record"


def test_a_batch_that_is_never_looked_at(said: Said) -> None:
    [problem] = said("def detect(records):\n    yield {'title': 'x'}\n", batch=True)
    assert problem.message == "`detect` never looks at `records`, and says the same of every batch of records"
    assert problem.remedy == "read it, for example `for record in records:`"


def test_a_severity_that_is_always_the_same(said: Said) -> None:
    [problem] = said(DETECT + 'def severity(r):\n    return "high"\n')
    assert (problem.line, problem.column) == (3, 14)
    assert problem.remedy == "say it with `alert.severity` in the config, or call the parameter `_r`"


@pytest.mark.parametrize(
    "script",
    [
        "def detect(record):\n    return False\n",  # just begun
        "def detect(record):\n    return\n    return None\n",
        "def detect(_record):\n    return True\n",
        "def detect(_):\n    return True\n",
        "def detect(*args):\n    return bool(args)\n",
        "def detect(record):\n    def inner():\n        return record\n    return inner()\n",
        DETECT + 'def title(_):\n    return "x"\n',
        DETECT + 'def alert_context(record):\n    return {"team": "a"}\n',
        "import x\n\n\n@x.wrap\ndef detect(record):\n    return True\n",
    ],
)
def test_what_may_be_meant_is_passed_over(said: Said, script: str) -> None:
    assert said(script) == []


HELPER = """\
def detect(record):
    return is_it(record.deepget("event.action"), "x")


def is_it(action, wanted):
    return {}
"""


def test_a_helper_that_never_looks(said: Said) -> None:
    [problem] = said(HELPER.format('action == "y"'))
    assert (problem.line, problem.column, problem.message) == (5, 19, "`is_it` never looks at `wanted`")
    assert problem.remedy == "remove it, or call it `_wanted`"
    assert said(HELPER.format("action == wanted")) == []


def test_a_helper_that_is_handed_on_may_have_to_take_it(said: Said) -> None:
    script = HELPER.format('action == "y"') + "\n\ndef severity(record):\n    return run(is_it, record)\n"
    assert said(f"from x import run\n\n\n{script}") == []
    assert said(HELPER.format('action == "y"') + "\n\nALL = [is_it]\n") == []
