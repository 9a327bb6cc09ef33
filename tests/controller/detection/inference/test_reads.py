"""Which columns a rule can touch, for each way of getting at them; None where that may be all of them."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from trapline.detection.inference.reads import Read, reads_of


def read(body: str, head: str = "") -> set[str] | None:
    """The paths, with a ? where it is only asked whether there is something."""
    found = reads_of(f"{dedent(head)}\ndef detect(r):\n{indent(dedent(body), '    ')}\n")
    return None if found is None else {".".join(path) + ("" if whole else "?") for path, whole in found}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('return r.deepget("a.b") == 1', {"a.b"}),
        ('return r.deepget(["a", "b"], 1)', {"a.b"}),
        ('return r.deepget(["a", 0, "b"])', {"a"}),
        ('return r.get("a") and r["b"]', {"a", "b"}),
        ('return r["a"]["b"]["c"]', {"a?", "a.b?", "a.b.c"}),
        ('return r.get("a", {}).get("b")', {"a?", "a.b"}),
        ('return (r.get("a") or {}).get("b")', {"a?", "a.b"}),
        ('return r["a"][0]', {"a"}),
        ('a = r.get("a")\nreturn a.get("b") or a["c"]', {"a?", "a.b", "a.c"}),
        ('a = r.get("a")\nreturn True', {"a?"}),
        ('a = b = r.get("a")\nreturn b', {"a"}),
        ('return (x := r.get("a")) and x.lower()', {"a"}),
        ('return "a" in r', {"a"}),
        ('return r.get("a").anything()', {"a"}),
        ('return r.get("a", r.get("b"))', {"a", "b"}),
        ('return r.get("a", default=r.get("b"))', {"a", "b"}),
        ('return any(r.get(k) for k in ("a", "b"))', {"a", "b"}),
        ('return any(r.get(k, default=r.get("c")) for k in ("a", "b"))', {"a", "b", "c"}),
        ('for k in ["a", "b"]:\n    if r.deepget(k):\n        return True', {"a", "b"}),
        ("return [x for x in r.get('a') if x.get('b')]", {"a"}),
        ("return f\"{r.get('a')}\"", {"a"}),
        ('try:\n    return r["a"]\nexcept KeyError:\n    return r.get("b")', {"a", "b"}),
        ("return (lambda: r.get('a'))()", {"a"}),
        ("return True", set()),
    ],
)
def test_what_is_read(body: str, expected: set[str]) -> None:
    assert read(body) == expected


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        ("def f(x):\n    return x.get('a')", "return f(r)", {"a"}),
        ("def f(x):\n    return x.get('b')", "return f(r.get('a'))", {"a?", "a.b"}),
        ("def f(x, /, y):\n    return x.get('a')", "return f(r, r.get('b'))", {"a", "b?"}),
        ("def f(x, y):\n    return x.get('a')", "return f(y=1, x=r)", {"a"}),
        ("def f(x):\n    return g(x)\ndef g(x):\n    return f(x) or x.get('a')", "return f(r)", {"a"}),
        ("KEY = 'a.b'", "return r.deepget(KEY)", {"a.b"}),
        ("KEYS = ['a', 'b']", "return any(r.get(k) for k in KEYS)", {"a", "b"}),
        ("import json", "return json.loads(r.get('a'))", {"a"}),
        ("from datetime import datetime", "return datetime.now() > r.get('a')", {"a"}),
    ],
)
def test_what_is_read_by_way_of_the_module(head: str, body: str, expected: set[str]) -> None:
    assert read(body, head) == expected


@pytest.mark.parametrize(
    "body",
    [
        "return r",
        "return dict(r)",
        "return r.to_dict()",
        "return [k for k in r]",
        "return r.items()",
        "return print(r)",
        "return r == 1",
        "return r.get(r.get('a'))",
        "get = r.get\nreturn get('a')",
        "x = r\nx = x.get('a')\nreturn x",
        "r = r.get('a')\nreturn r",
        "x = [r]\nreturn x",
        "return (lambda x: x.get('a'))(r)",
        "return (lambda k: r.get(k))('b') or [r.get(k) for k in ('a',)]",
        "def inner():\n    return r.get('a')\nreturn inner()",
        "return r.deepget([i, 'a'])",
        "match r:\n    case {'a': 1}:\n        return True",
    ],
)
def test_what_may_read_everything(body: str) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("SEEN = set()", "SEEN.add(r.get('a'))"),
        ("SEEN = {}", "SEEN[r.get('a')] = 1\nreturn len(SEEN) > 3"),
        ("COUNT = 0", "global COUNT\nCOUNT += 1\nreturn r.get('a')"),
        ("def f(x, seen=[]):\n    seen.append(x)", "return f(r.get('a'))"),
        ("def f(x, *, seen=[]):\n    seen.append(x)", "return f(r.get('a'))"),
        ("@counted\ndef f(x):\n    return x", "return f(r.get('a'))"),
        ("class Seen:\n    all = []", "Seen.all.append(r.get('a'))"),
        ("import random", "return random.random() < 0.5 and r.get('a')"),
        ("from helpers import seen", "return seen(r.get('a'))"),
        ("", "import helpers\nreturn helpers.seen(r.get('a'))"),
        ("", "return open('/tmp/seen').read() == r.get('a')"),
        ("", "print(r.get('a'))"),
        ("SEEN = []\ndef f(x):\n    SEEN.append(x)", "return list(map(f, r.get('a')))"),
        ("if True:\n    SEEN = []\n    def f(x):\n        SEEN.append(x)", "return f(r.get('a'))"),
        ("NEXT = iter(range(9))", "return next(NEXT) == r.get('a')"),
    ],
)
def test_a_rule_that_remembers_sees_each_record_once(head: str, body: str) -> None:
    """As one that may read everything does; any other is shown some records twice."""
    assert read(body, head) is None


def test_other_functions_may_be_asked_for() -> None:
    assert reads_of("def wanted(r, /):\n    return r.get('a')", function="wanted") == {Read(("a",), whole=True)}
