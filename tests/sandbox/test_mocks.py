"""Functions that are replaced for a test case, and are what they were after it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from trapline_sandbox.mocks import MockError, mocked
from trapline_sandbox.rule import Rule

SCRIPT = """
import textwrap
import geo
from geo import country
from geo import Client as Asker

asker = Asker()

def lookup(name):
    return f"real {name}"

def detect(record):
    return [lookup("a"), geo.country("b"), country("c"), asker.ask(1), Asker.fixed(), textwrap.dedent(" d")]
"""
GEO = """
def country(ip):
    return "real"

class Base:
    def ask(self, what):
        return "asked"

class Client(Base):
    @staticmethod
    def fixed():
        return "fixed"
"""
REAL = ["real a", "real", "real", "asked", "fixed", "d"]


@pytest.fixture
def loaded(rule: Callable[..., Rule]) -> Rule:
    return rule(SCRIPT, geo=GEO)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("lookup", [0]),
        ("country", [2]),
        ("geo.country", [1, 2]),
        ("asker.ask", [3]),
        ("Asker.ask", [3]),
        ("geo.Client.fixed", [4]),
        ("textwrap.dedent", [5]),
    ],
)
def test_a_name_answers_what_is_given_until_the_end(loaded: Rule, name: str, changed: list[int]) -> None:
    detect = loaded.functions["detect"]
    with mocked(loaded.module, {name: "mocked"}):
        assert detect({}) == ["mocked" if index in changed else real for index, real in enumerate(REAL)]
    assert detect({}) == REAL
    assert isinstance(vars(sys.modules["geo"].Client)["fixed"], staticmethod)
    assert "ask" not in vars(sys.modules["geo"].Client) | vars(loaded.module.asker)


def test_what_is_only_imported_when_it_is_called(rule: Callable[..., Rule]) -> None:
    loaded = rule("def detect(record):\n    import geo\n    return geo.country('a')\n", geo=GEO)
    with mocked(loaded.module, {"geo.country": "NL"}):
        assert loaded.functions["detect"]({}) == "NL"
    assert loaded.functions["detect"]({}) == "real"


def test_each_call_gets_an_answer_of_its_own(loaded: Rule) -> None:
    with mocked(loaded.module, {"lookup": {"seen": []}}):
        loaded.module.lookup(1, key=2)["seen"].append("changed")
        assert loaded.module.lookup() == {"seen": []}


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_it_ends_whatever_is_raised(loaded: Rule, error: type[BaseException]) -> None:
    with pytest.raises(error), mocked(loaded.module, {"lookup": 1, "geo.country": 2}):
        raise error
    assert loaded.functions["detect"]({}) == REAL


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lokup", "`lokup` is not there: the script has no `lokup`"),
        ("nothing.here", "`nothing.here` is not there: the script has no `nothing`"),
        ("geo.city", "`geo.city` is not there: `geo` has no `city`"),
        ("geo.city.name", "`geo.city.name` is not there: `geo` has no `city`"),
        ("asker.city", "`asker.city` is not there: `Client` has no `city`"),
        ("__name__", "`__name__` is no function, but a str"),
        ("str.upper", "`str.upper` is not there: the script has no `str`"),
        ("geo.__class__.mro", "`geo.__class__.mro` cannot be replaced: "),
    ],
)
def test_a_name_that_cannot_be_replaced_is_said_and_nothing_stays_replaced(loaded: Rule, name: str, why: str) -> None:
    with pytest.raises(MockError) as raised, mocked(loaded.module, {"lookup": 1, name: 2}):
        pytest.fail("the body ran")
    assert str(raised.value).startswith(why)
    assert loaded.functions["detect"]({}) == REAL


def test_a_script_that_guards_its_names_is_told(rule: Callable[..., Rule]) -> None:
    guard = """
class Guarded:
    def __setattr__(self, name, value):
        raise RuntimeError("hands off")
    def ask(self):
        return 1
asker = Guarded()
def detect(record): return asker.ask()
"""
    loaded = rule(guard)
    replaced: dict[str, Any] = {"asker.ask": 2}
    with pytest.raises(MockError, match="cannot be replaced: hands off"), mocked(loaded.module, replaced):
        pytest.fail("the body ran")
