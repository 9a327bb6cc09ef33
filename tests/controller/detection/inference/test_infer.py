"""What is inferred from each thing that rules are written in, spelled out."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import holds
from trapline.detection.inference.spell import spelled


def rule(body: str, head: str = "import re") -> str:
    """`detect(r)` with this body, or one that returns this expression."""
    text = dedent(body)
    statements = text if "\n" in text.strip() or "return" in text else f"return {text}"
    return f"{head}\ndef detect(r):\n{indent(statements, '    ')}\n"


def predicate(body: str, head: str = "import re") -> str:
    """The predicate of a rule that is understood."""
    inferred = infer(rule(body, head))
    assert inferred.gaps == ()
    return spelled(inferred.predicate)


def reasons(body: str, head: str = "import re") -> list[str]:
    """The first words of what was not understood."""
    return [f"{gap.line}: {gap.reason}" for gap in infer(rule(body, head)).gaps]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # comparisons: a missing value is None, which is not equal to a text, and not less than a number
        ('r.get("a") == "x"', 'a == "x"'),
        ('r.get("a") != "x"', 'a != "x"'),
        ('"x" == r.get("a")', 'a == "x"'),
        ('r.get("a") == None', "a is None"),
        ('r.get("a") is not None', "a is not None"),
        ('r.get("a") is True', "a is True"),
        ('r.get("a", "x") == "x"', 'a == "x" or a is None'),
        ('r.get("n", 0) > 5', "n > 5 or n > 5 raises"),
        ('5 < r.get("n", 0)', "n > 5 or n > 5 raises"),
        ('r.get("n") > 5', "n > 5 or n > 5 raises or n is None"),
        ('1 < r.get("n", 0) < 5', "(n > 1 and n < 5) or n > 1 raises or (n > 1 and n < 5 raises)"),
        # membership
        ('r.get("a") in ("x", "y")', 'a in ("x", "y")'),
        ('r.get("a") in ["x", None]', 'a in ("x", None) or a is None'),
        ('r.get("a") not in ("x", "y")', 'a not in ("x", "y")'),
        ('r.get("a") in {"x"}', 'a in ("x",) or hash(a) raises'),
        ('"x" in r.get("a", "")', '"x" in a or "x" in a raises'),
        ('"x" in (r.get("a"), r.get("b"))', 'a == "x" or b == "x"'),
        # texts
        ('r.get("a", "").startswith("x")', 'a.startswith("x") or (a is not None and not isinstance(a, str))'),
        ('r.get("a", "").endswith(("x", "y"))', 'a.endswith(("x", "y")) or (a is not None and not isinstance(a, str))'),
        ('(r.get("a") or "").lower() == "x"', '(a and a.lower() == "x") or (a and a.lower() raises)'),
        ('r.get("a", "").upper() != "X"', 'a.upper() != "X" or a is None or a.upper() raises'),
        ('isinstance(r.get("a"), str)', "isinstance(a, str)"),
        # patterns
        ('re.match("x", r.get("a", ""))', 're.match("x", a) or (a is not None and not isinstance(a, str))'),
        ('re.search("x", r.get("a", "")) is None', 'not re.search("x", a) or not isinstance(a, str)'),
        (
            're.fullmatch("x", r.get("a", ""), re.I)',
            're.fullmatch("x", a, re.IGNORECASE) or (a is not None and not isinstance(a, str))',
        ),
        # truth
        ('r.get("a")', "a"),
        ('not r.get("a")', "not a"),
        ('bool(r.get("a"))', "a"),
        ("r", "True"),
        ('not r or r.get("a")', "a"),
        # and, or, not, if: only what is evaluated can raise
        ('r.get("a") == 1 and r.get("b") == 2', "a == 1 and b == 2"),
        ('r.get("a") == 1 or r.get("b") == 2', "a == 1 or b == 2"),
        ('not (r.get("a") == 1 and r.get("b") == 2)', "a != 1 or b != 2"),
        ('r.get("a") == 1 and r.get("b") > 2', "(a == 1 and b > 2) or (a == 1 and (b > 2 raises or b is None))"),
        ('r.get("a") == 1 if r.get("b") else r.get("c") == 2', "(b and a == 1) or (not b and c == 2)"),
        ('(r.get("a") or r.get("b")) == "x"', 'a == "x" or (not a and b == "x")'),
        # looking deeper
        ('r.deepget("a.b") == 1', "a.b == 1"),
        ('r.deepget(["a", "b.c"]) == 1', 'record["a"]["b.c"] == 1'),
        ('r.deepget("a.b", 1) == 1', "a.b == 1 or a.b is None"),
        ('r["a"] == 1', 'a == 1 or record["a"] raises'),
        ('r["a"]["b"] == 1', 'a.b == 1 or record["a"] raises or a["b"] raises or a is None'),
        ('r.get("a", {}).get("b") == 1', 'a.b == 1 or a.get("b") raises'),
        (
            '(r.get("a") or {}).get("b", 1) == 1',
            'a.b == 1 or a.b is None or not a or a.get("b") raises',
        ),
        ('r["a"].deepget("b.c") == 1', 'a.b.c == 1 or record["a"] raises or a.deepget("b.c") raises or a is None'),
        # any and all over constants
        ('any(r.get(k) == 1 for k in ("a", "b"))', "a == 1 or b == 1"),
        ('all(r.get(k) == 1 for k in ["a", "b"])', "a == 1 and b == 1"),
        ('any(r.get(k) == v for k, v in (("a", 1), ("b", 2)))', "a == 1 or b == 2"),
        ('any(r.get(k) for k in ("a", "b") if k != "a")', "b"),
        ('any(r.get("ab"[i]) for i in range(2))', "a or b"),
        ('any([r.get("a") == 1, r.get("b") == 2])', "a == 1 or b == 2"),
        ('not any(p in r.get("a", "") for p in ("x",))', 'not "x" in a or a is None or "x" in a raises'),
        (
            'any(r.get(k, 0) > 1 for k in ("a", "b"))',
            "a > 1 or b > 1 or a > 1 raises or ((not a > 1 or a is None) and b > 1 raises)",
        ),
        (
            'all(r.get(k, 0) > 1 for k in ("a", "b"))',
            "(a > 1 and b > 1) or a > 1 raises or (a > 1 and b > 1 raises)",
        ),
        # a table of constants
        ('{"x": 1, "y": 5}.get(r.get("a"), 0) > 3', 'a == "y" or hash(a) raises'),
        ('{"x": 1, "y": 0}[r.get("a")]', 'a == "x" or hash(a) raises or a not in ("x", "y")'),
    ],
)
def test_an_expression(expression: str, expected: str) -> None:
    assert predicate(expression) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # early returns and guards
        ('if r.get("a") != 1:\n    return False\nreturn r.get("b") == 2', "a == 1 and b == 2"),
        ('if r.get("a") == 1:\n    return True\nreturn r.get("b") == 2', "a == 1 or b == 2"),
        ('if r.get("a") == 1:\n    return True\nelif r.get("b"):\n    return False\nelse:\n    return None', "a == 1"),
        ('if r.get("a"):\n    return r.get("b")', "a and b"),
        # assigned locals
        ('a = r.get("a")\nb = a or r.get("b")\nreturn b == 1', "a == 1 or (not a and b == 1)"),
        ('a, b = r.get("a"), r.get("b")\nreturn a == 1 and b == 2', "a == 1 and b == 2"),
        ('x: str = r.get("a")\nreturn x', "a"),
        ('found = False\nif r.get("a") == 1:\n    found = True\nreturn found', "a == 1"),
        ('if (x := r.get("a")) and (y := r.get("b")):\n    return x == 1 and y == 2', "a == 1 and b == 2"),
        ('names = ["x", "y"]\nreturn r.get("a") in names', 'a in ("x", "y")'),
        # counting
        (
            'n = 0\nif r.get("a"):\n    n += 1\nif r.get("b"):\n    n += 1\nreturn n >= 2',
            "b and a",
        ),
        # loops over constants
        (
            'for k in ("a", "b"):\n    if r.get(k) == 1:\n        return True\nreturn False',
            "a == 1 or b == 1",
        ),
        ('n = 0\nfor k in ["a", "b"]:\n    if not r.get(k):\n        continue\n    n += 1\nreturn n == 2', "b and a"),
        ('for k in ("a",):\n    if r.get(k):\n        break\nelse:\n    return r.get("b")', "not a and b"),
        # cases
        (
            'match r.get("a"):\n    case "x" | "y":\n        return True\n'
            '    case None if r.get("b"):\n        return True\n    case _:\n        return r.get("a") == 1',
            'a == "x" or a == "y" or (a is None and b) or a == 1',
        ),
        # what raises is no match, but a failure, and no record that fails is left out
        ('assert r.get("a")\nreturn r.get("b")', "b or not a"),
        ('if r.get("a"):\n    raise ValueError(r)\nreturn False', "a"),
        ('if r.get("a"):\n    x = 1\nreturn x == 2', "not a"),
        # nothing at all
        ("pass\nreturn", "False"),
        ('"""It does nothing."""\nreturn False', "False"),
    ],
)
def test_statements(body: str, expected: str) -> None:
    assert predicate(body) == expected


@pytest.mark.parametrize(
    ("head", "expression", "expected"),
    [
        ('NAMES = ["x", "y"]', 'r.get("a") in NAMES', 'a in ("x", "y")'),
        ('NAMES = {"x"} | {"y"}', 'r.get("a") in NAMES', 'a in ("x", "y") or hash(a) raises'),
        ('A = ("x",)\nB = A + ("y",)', 'r.get("a") in B', 'a in ("x", "y")'),
        ('PATH = "a.b"', "r.deepget(PATH) == 1", "a.b == 1"),
        ("LEVELS = {'x': 1}", "r.get('a') in LEVELS", 'a in ("x",) or hash(a) raises'),
        ("LEVELS = {'x': 1, 'y': 2}", "any(r.get(k) == v for k, v in LEVELS.items())", "x == 1 or y == 2"),
        (
            'import re\nP = re.compile("^x", re.I)',
            'P.match(r.get("a", ""))',
            're.match("^x", a, re.IGNORECASE) or (a is not None and not isinstance(a, str))',
        ),
        ("def root(r):\n    return r.get('a') == 'Root'", "root(r) and r.get('b')", 'a == "Root" and b'),
        (
            "def has(r, name, value=1):\n    return r.get(name) == value",
            "has(r, 'a') or has(r, value=2, name='b')",
            "a == 1 or b == 2",
        ),
        ("def name(r):\n    return r.get('a') or r.get('b')", "name(r) == 1", "a == 1 or (not a and b == 1)"),
        (
            "def low(text):\n    return text.lower()",
            "low(r.get('a', '')) == 'x'",
            'a.lower() == "x" or a.lower() raises',
        ),
    ],
)
def test_what_the_module_defines(head: str, expression: str, expected: str) -> None:
    assert predicate(expression, head) == expected


def test_what_is_caught_is_no_failure() -> None:
    inferred = infer(rule('try:\n    return r.get("a").lower() == "x"\nexcept Exception:\n    return r.get("c")\n'))
    assert spelled(inferred.predicate) == 'a.lower() == "x" or ((a.lower() raises or a is None) and c)'
    assert [gap.reason for gap in inferred.gaps] == ["what is raised is only roughly known"]


def test_what_is_caught_only_if_it_is_of_one_kind_may_be_a_failure() -> None:
    inferred = infer(rule('try:\n    return r.get("a").lower() == "x"\nexcept KeyError:\n    return r.get("c")\n'))
    assert spelled(inferred.predicate) == 'a.lower() == "x" or a.lower() raises or a is None'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # of some values the kind is known, and with it that nothing happens
        ('return len(r.get("a", "")) > 3 and r.get("b")', 'b or "" in a raises'),
        (
            'return r.get("a", "").split("/")[-1] == "x" and r.get("b")',
            "b or (a is not None and not isinstance(a, str))",
        ),
        ('return r.get("a", "")[:3] == "abc" and r.get("b")', "b or (a is not None and not isinstance(a, str))"),
        ('return f"{r.get(\'a\')}" == "x" and r.get("b")', "b"),
        ('return r.get("a") == r.get("b") and r.get("c")', "c"),
    ],
)
def test_what_is_only_vaguely_known_leaves_the_rest_as_it_is(body: str, expected: str) -> None:
    inferred = infer(rule(body))
    assert spelled(inferred.predicate) == expected
    assert len(inferred.gaps) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import json\nreturn json.loads(r.get('a')).get('b') == 1", "`json.loads(r.get('a'))` is not understood"),
        ("print(r)\nreturn r.get('a') == 1", "`print(r)` is not understood"),
        ("while r.get('a'):\n    pass", "`while r.get('a'):` is not followed"),
        ("with open('x') as f:\n    pass", "`with open('x') as f:` is not followed"),
        ("def inner():\n    return 1\nreturn inner()", "`def inner():` is not followed"),
        ("global N\nreturn N", "`global N` is not followed"),
        ("match r.get('a'):\n    case {'b': 1}:\n        return True", "`match r.get('a'):` is not followed"),
        ("for x in r.get('a'):\n    pass", "`for x in r.get('a'):` is not followed"),
        ("x.y = 1\nreturn 1", "the script may change what its own names stand for"),
        ("return later\nlater = 1", "`later` is not understood"),
        ("return missing", "`missing` is not understood"),
        ("x = [1]\nx.append(2)\nreturn x", "`x.append(2)` is not understood"),
        ("return [x for x in r.get('a')]", "`[x for x in r.get('a')]` is not understood"),
        ("return (lambda: r.get('a'))()", "`(lambda: r.get('a'))()` is not understood"),
        ("return r.get(r.get('a'))", "`r.get(r.get('a'))` is not understood"),
        ("return r.get('a') + 1", "`r.get('a') + 1` is not understood"),
        ("return r.a", "`r.a` is not understood"),
        ("return re.match('[', r.get('a'))", "`re.match('[', r.get('a'))` is not understood"),
        ("return re.match('a', r.get('a'), re.DEBUG)", "`re.match('a', r.get('a'), re.DEBUG)` is not understood"),
    ],
)
def test_what_is_not_understood_may_be_anything(body: str, reason: str) -> None:
    inferred = infer(rule(body + "\n"))
    assert spelled(inferred.predicate) == "True"
    assert [gap.reason for gap in inferred.gaps] == [reason]


def test_what_comes_before_it_still_counts() -> None:
    body = """
        if r.get("a") != 1:
            return False
        found = json.loads(r.get("b"))
        return found["c"] == 2 and found["d"]
    """
    inferred = infer(rule(body, "import json"))
    assert spelled(inferred.predicate) == "a == 1"
    assert [(gap.line, gap.reason) for gap in inferred.gaps] == [(6, "`json.loads(r.get('b'))` is not understood")]


@pytest.mark.parametrize(
    "head",
    [
        "from os.path import *",
        "import sys\nsys.modules[__name__].NAMES = ['y']",
        "import re\nre.match = print",
        "exec('NAMES = []')",
        "globals()['NAMES'] = []",
        "import importlib",
        "import detect\ndetect.NAMES.append('y')",
        "def f():\n    pass\nf.__globals__['NAMES'] = []",
        "setattr(f, 'x', 1)",
        "import a\na.b.c = 1",
    ],
)
def test_a_module_that_may_change_its_own_names_is_not_followed(head: str) -> None:
    inferred = infer(f'NAMES = ["x"]\n{head}\ndef detect(r):\n    return r.get("a") in NAMES\n')
    assert spelled(inferred.predicate) == "True"
    assert [gap.reason for gap in inferred.gaps] == ["the script may change what its own names stand for"]


@pytest.mark.parametrize(
    "head",
    [
        'NAMES = ["x"]\nNAMES.append("y")',
        'NAMES = ["x"]\nNAMES += ["y"]',
        'NAMES = ["x"]\nALSO = NAMES\nALSO.append("y")',
        'NAMES = ["x"]\nif True:\n    NAMES = ["y"]',
        'NAMES = ["x"]\nfor NAMES in (["y"],):\n    pass',
        'NAMES = ["x"]\nimport os as NAMES',
        'NAMES = ["x"]\ndef change():\n    global NAMES\n    NAMES = []',
        'NAMES = ["x"]\ndef change():\n    NAMES[0] = "y"',
        'NAMES = ["x"]\nclass NAMES:\n    pass',
        'NAMES = ["x"]\nwith open("f") as NAMES:\n    pass',
        'NAMES = tuple([["x"]])[0]',
        'NAMES = ["x", *OTHERS]',
        'NAMES = list("x".strip())',
        'def frozenset(x):\n    return "y"\nNAMES = frozenset(["x"])',
        'def len(x):\n    x.append("y")\nNAMES = ["x"]\nlen(NAMES)',
        'NAMES = ["x"]\n(NAMES := ["y"])',
        'NAMES = ["x"]\ntry:\n    pass\nexcept ValueError as NAMES:\n    pass',
        'NAMES = ["x"]\ndel NAMES',
        "NAMES = load()",
    ],
)
def test_a_name_that_may_stand_for_something_else_is_no_constant(head: str) -> None:
    inferred = infer(f'{head}\ndef detect(r):\n    return r.get("a") in NAMES\n')
    assert spelled(inferred.predicate) == "True"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def detect(r", "it is not valid Python"),
        ("x = 1", "the script does not define one plain function detect"),
        ("def detect(r):\n    return 1\ndetect = None", "the script does not define one plain function detect"),
        ("def detect(r):\n    return 1\ndef detect(r):\n    return 0", "the script does not define one plain function"),
        ("async def detect(r):\n    return 0", "the script does not define one plain function detect"),
        ("detect = lambda r: r", "the script does not define one plain function detect"),
        ("if x:\n    def detect(r):\n        return 0", "the script does not define one plain function detect"),
        ("@cached\ndef detect(r):\n    return 0", "detect is no plain function of one record"),
        ("def detect(r):\n    yield r", "detect is no plain function of one record"),
        ("def detect(**r):\n    return 0", "detect is no plain function of one record"),
        ("def detect(r, s):\n    return 0", "detect is no plain function of one record"),
        ("def detect():\n    return 0", "detect is no plain function of one record"),
    ],
)
def test_without_one_plain_detect_nothing_is_known(source: str, reason: str) -> None:
    inferred = infer(source)
    assert spelled(inferred.predicate) == "True"
    (gap,) = inferred.gaps
    assert gap.reason.startswith(reason)


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ('return not r.get("a", "").startswith(["x"])', ""),  # a list of prefixes raises
        ('return r.get("a", []) in {"x"}', ""),  # so does the hash of a list
        ('return r.get("a", {}).get("b", default=1) == 2', ""),  # and what a dict does not take by name
        ('return r.get("a", {"b": 1}).get("b") == 1', ""),  # found in the default
        ('x = "a"\nreturn not x.startswith((x := "b"))', ""),  # x is looked at before it is bound anew
        ('return r.get("a", "x").casefold("y") == 1', ""),
        (
            'x = 1\ntry:\n    x = 2\n    r.get("a").lower()\nexcept Exception:\n    return x == 2\nreturn False',
            "",
        ),
        ('return {"x": r.get("a")} == {"x": None}', ""),
        ('return {"x": r.get("a")} in ({"x": None},)', ""),
        ("return range(2) != (0, 1)", ""),
        ('return r.get("a") == X', "import other\nX = other.X"),  # its == may do anything
        ("if X:\n    return True\nreturn False", "import other\nX = other.X"),
        ('return helper(r, [r.get("a")]) == 1', "def helper(r, seen):\n    seen.append(1)\n    return len(seen)"),
        ("return helper(r)", "def helper(r, seen=[]):\n    seen.append(1)\n    return len(seen) > 3"),
        ('return re.match("x", r.get("a", ""))', "import regex as re"),
        ("return isinstance(r.get('a'), list)", "def list(x):\n    return 1"),
        ('return str(r.get("a")) == "x"', "from other import str"),
    ],
)
def test_side_ways_are_not_overlooked(body: str, head: str) -> None:
    """Whatever is told of these, records without any value are not left out."""
    assert holds(infer(rule(body, head)).predicate, lambda path: None if path else object())


def test_a_loop_over_what_a_record_has_is_reached_where_it_has_something() -> None:
    body = 'for x in r.get("a") or []:\n    if x == 1:\n        return True\nreturn False'
    assert spelled(infer(rule(body)).predicate) == "a"
    assert spelled(infer(rule('return any(x == 1 for x in r.get("a") or [])')).predicate) == "a"


def test_a_rule_that_is_too_long_is_followed_as_far_as_it_is_worth() -> None:
    flags = "".join(f'if r.get("a{n}"):\n    score += 1\n' for n in range(30))
    body = f'if r.get("a") != 1:\n    return False\nscore = 0\n{flags}return score > 5\n'
    inferred = infer(rule(body))
    assert not holds(inferred.predicate, lambda path: None)
    assert holds(inferred.predicate, lambda path: 1)
    assert {gap.reason for gap in inferred.gaps} <= {
        f"it {how} to be followed" for how in ("has too many cases", "is too long")
    }


def test_other_functions_may_be_asked_for() -> None:
    source = "def wanted(r):\n    return r.get('a') == 1\n"
    assert spelled(infer(source, function="wanted").predicate) == "a == 1"
