"""What is told of a rule through the modules that it imports: of `lib/`, and of its own folder."""

from __future__ import annotations

from textwrap import dedent

import pytest

from trapline.detection.inference.infer import Inferred, infer
from trapline.detection.inference.predicate import TRUE
from trapline.detection.inference.reads import reads_of
from trapline.detection.inference.spell import spelled

AWS = """
import re
from lib.names import KINDS
from trapline_sandbox.helpers import is_public_ip as is_public

OUTCOME = "success"
SERVICES = {"iam", "s3"}
ROLE = re.compile("^role/")


def succeeded(record):
    return record.deepget("event.outcome") == OUTCOME


def of(record, *actions, outcome=None):
    return record.deepget("event.action") in actions and (outcome is None or succeeded(record))


def known(record):
    return record.get("service") in SERVICES and record.get("kind") in KINDS


def role(record):
    return ROLE.match(record.get("role") or "")


def parsed(record):
    import json

    return json.loads(record.get("request") or "{}")
"""
NAMES = 'KINDS = ("user", "role")\n'
LIB = {"lib/aws.py": AWS.encode(), "lib/names.py": NAMES.encode()}


def told(script: str, modules: dict[str, bytes] | None = None) -> Inferred:
    return infer(dedent(script), LIB if modules is None else LIB | modules)


def predicate(script: str, modules: dict[str, bytes] | None = None) -> str:
    return spelled(told(script, modules).predicate)


def columns(script: str, modules: dict[str, bytes] | None = None) -> set[str] | None:
    found = reads_of(dedent(script), LIB if modules is None else LIB | modules)
    return None if found is None else {".".join(read.path) for read in found if read.whole}


@pytest.mark.parametrize(
    ("imports", "called"),
    [
        ("from lib.aws import succeeded", "succeeded"),
        ("from lib.aws import succeeded as done", "done"),
        ("import lib.aws", "lib.aws.succeeded"),
        ("import lib.aws\nimport lib.names", "lib.aws.succeeded"),
        ("import lib.aws as aws", "aws.succeeded"),
        ("from lib import aws", "aws.succeeded"),
        ("from lib import aws as cloud", "cloud.succeeded"),
    ],
)
@pytest.mark.parametrize("package", [{}, {"lib/__init__.py": b""}], ids=["folder", "package"])
def test_every_way_of_importing(imports: str, called: str, package: dict[str, bytes]) -> None:
    script = f"{imports}\ndef detect(r):\n    return {called}(r)\n"
    assert predicate(script, package) == 'event.outcome == "success"'
    assert columns(script, package) == {"event.outcome"}


@pytest.mark.parametrize(
    ("body", "expected", "read"),
    [
        ('of(r, "A", "B")', 'event.action in ("A", "B")', {"event.action", "event.outcome"}),
        (
            'of(r, *ACTIONS, outcome="x")',
            'event.action in ("C", "D") and event.outcome == "success"',
            {"event.action", "event.outcome"},
        ),
        (
            "known(r)",
            '(service in ("iam", "s3") and kind in ("user", "role")) or hash(service) raises',
            {"service", "kind"},
        ),
        ("r.get('kind') in KINDS", 'kind in ("user", "role")', {"kind"}),
        ("r.get('kind') == names.KINDS[0]", 'kind == "user"', {"kind"}),
        ("any(r.get(kind) for kind in names.KINDS)", "user or role", {"user", "role"}),
        ("bool(role(r))", '(role and re.match("^role/", role)) or (role and not isinstance(role, str))', {"role"}),
    ],
)
def test_what_is_in_a_module_means_what_it_means_there(body: str, expected: str, read: set[str]) -> None:
    script = f"""
    from lib import names
    from lib.aws import known, of, role
    from lib.names import KINDS

    OUTCOME = SERVICES = "not the one of lib"
    ACTIONS = ("C", "D")

    def detect(r):
        return {body}
    """
    assert predicate(script) == expected
    assert told(script).gaps == ()
    assert columns(script) == read


def test_a_gap_says_which_file_it_is_in() -> None:
    found = told("from lib.aws import parsed\n\ndef detect(r):\n    return r.get('a') == 1 and parsed(r)")
    assert spelled(found.predicate) == "a == 1"
    [gap] = found.gaps
    line = 1 + next(at for at, text in enumerate(AWS.splitlines()) if "json.loads" in text)
    assert gap.place("detect.py") == f"lib/aws.py:{line}"
    assert columns("from lib.aws import parsed\ndef detect(r):\n    return parsed(r)") == {"request"}


def test_modules_beside_the_script_are_its_own_too() -> None:
    modules = {"near.py": b"from sub.far import f\n", "sub/far.py": b"def f(r):\n    return r.get('a') == 'x'\n"}
    assert predicate("from near import f\ndef detect(r):\n    return f(r)", modules) == 'a == "x"'


def test_relative_imports() -> None:
    modules = {
        "lib/sub/__init__.py": b"",
        "lib/sub/a.py": b"from .b import f\nfrom ..aws import succeeded\nfrom . import b\n"
        b"def g(r):\n    return f(r) and succeeded(r) and b.f(r)\n",
        "lib/sub/b.py": b"def f(r):\n    return r.get('a') == 'x'\n",
    }
    script = "from lib.sub.a import g\ndef detect(r):\n    return g(r)"
    assert predicate(script, modules) == 'a == "x" and event.outcome == "success"'


def test_without_its_modules_nothing_is_known_of_what_is_imported() -> None:
    script = "from lib.aws import succeeded\ndef detect(r):\n    return r.get('a') == 1 and succeeded(r)"
    assert spelled(infer(script).predicate) == "a == 1"
    assert infer(script).gaps
    assert reads_of(script) is None


@pytest.mark.parametrize(
    ("head", "body", "modules"),
    [
        # somebody changes what the module has
        ("from lib.m import N\nN.append('b')", "r.get('a') in N", {}),
        ("from lib.m import N, f\nN.append('b')", "f(r)", {}),
        ("from lib.m import N as M, f\nM.append('b')", "f(r)", {}),
        ("from lib.m import N as M, f", "f(r)", {}),
        ("from lib.m import f\nimport lib.m\nlib.m.N.append('b')", "f(r)", {}),
        ("from lib.m import f\nfrom lib import m\ngetattr(m, 'N').append('b')", "f(r)", {}),
        ("from lib.m import f\nimport lib.m\nMODULES = [lib.m]", "f(r)", {}),
        ("from lib.m import f\nfrom lib.n import N\nN.append('b')", "f(r)", {"lib/n.py": b"from lib.m import N"}),
        ("from lib.m import f\nfrom lib.n import M\nM.append('b')", "f(r)", {"lib/n.py": b"from lib.m import N as M"}),
        ("from lib.m import f\nimport lib.n", "f(r)", {"lib/n.py": b"import lib.m as m\ndef g():\n    m.N.append(1)"}),
        (
            "from lib.m import f\nimport lib.n",
            "f(r)",
            {"lib/n.py": b"def g():\n    from lib.m import N\n    N.clear()"},
        ),
        ("from lib.m import f\nimport lib.n", "f(r)", {"lib/n.py": b"import lib.m\nlib.m.f = print"}),
        ("from lib.m import f\nimport lib.n", "f(r)", {"lib/n.py": b"from lib import m\nsetattr(m, 'f', print)"}),
        ("from lib.m import f\nimport lib.n", "f(r)", {"lib/n.py": b"import importlib"}),
        ("from lib.m import f", "f(r)", {"lib/m.py": b"N = []\ndef f(r):\n    return r.get('a') in N\nN += 'b'"}),
        # a name may stand for something else
        ("from lib.m import f\nfrom lib.n import f", "f(r)", {"lib/n.py": b"def f(r):\n    return True"}),
        ("try:\n    from lib.m import f\nexcept ImportError:\n    f = print", "f(r)", {}),
        ("from lib.m import f\ndef other():\n    global f\n    f = print", "f(r)", {}),
        ("from lib import m", "m.f(r)", {"lib/__init__.py": b"m = 5"}),
        ("import lib.m", "lib.m.f(r)", {"lib/__init__.py": b"def m(): pass"}),
        ("import lib.m\nfrom lib import f", "f(r)", {"lib/__init__.py": b"from lib.m import f", "lib/f.py": b""}),
        ("import json", "json.f(r)", {"json.py": b"def f(r):\n    return r.get('a') == 'x'"}),
        # it is not there, or cannot be called so
        ("from lib.m import g", "g(r)", {}),
        ("import lib.m", "lib.m.g(r)", {}),
        ("import lib.m", "lib.m.N(r)", {}),
        ("from lib.m import f", "f(r, 1)", {}),
        ("from lib.m import cached", "cached(r)", {}),
        ("from lib.m import f", "(lambda f: f(r))(print)", {}),
        # modules that import each other, or themselves
        (
            "from lib.c import f",
            "f(r)",
            {"lib/c.py": b"from lib.d import f\nN = 1", "lib/d.py": b"from lib.c import N, f"},
        ),
    ],
)
def test_what_may_be_otherwise_may_be_true(head: str, body: str, modules: dict[str, bytes]) -> None:
    lib = {
        "lib/m.py": b"from functools import cache\nN = ['a']\ndef f(r):\n    return r.get('a') in N\n"
        b"@cache\ndef cached(r):\n    return r.get('a') == 'x'\n"
    }
    found = told(f"{head}\ndef detect(r):\n    return {body}", {**lib, **modules})
    assert found.predicate == TRUE
    assert found.gaps


def test_what_is_only_looked_into_everywhere_is_known() -> None:
    modules = {"lib/m.py": b"N = ['a']\ndef f(r):\n    return r.get('a') in N", "lib/n.py": b"from lib.m import N"}
    script = "from lib.m import f\nfrom lib.n import N\ndef detect(r):\n    return f(r) and r.get('b') in N"
    assert predicate(script, modules) == 'a in ("a",) and b in ("a",)'


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("from lib.s import remembers", "remembers(r)"),
        ("import lib.s", "lib.s.remembers(r)"),
        ("import lib.s", "lib.s.SEEN"),
        ("from lib.s import says", "says(r.get('a'))"),
        ("from lib.s import whole", "whole(r)"),
        ("from lib.s import outer", "outer(r)"),
        ("from lib import s", "s"),
        ("from lib.s import nothing", "nothing(r)"),
    ],
)
def test_a_rule_that_may_touch_everything_through_a_module(head: str, body: str) -> None:
    modules = {
        "lib/s.py": dedent("""
        SEEN = {}
        def remembers(r):
            SEEN[r.get("a")] = 1
        def says(text):
            print(text)
        def whole(r):
            return "x" in str(r)
        def outer(r):
            return whole(r)
        """).encode()
    }
    assert columns(f"{head}\ndef detect(r):\n    return {body}", modules) is None


@pytest.mark.parametrize(
    ("expression", "expected", "exact"),
    [
        ("is_public_ip(r.get('a'))", "isinstance(a, str)", False),
        ("r.get('b') == 1 and not is_public_ip(r.get('a')) and r.get('c') == 2", "b == 1 and c == 2", False),
        ("ip_in_network(r.get('a'), *NETWORKS)", "isinstance(a, str)", False),
        ("ip_in_network(r.get('a'), *())", "False", True),
        (
            "wildcard_match(r.get('a'), 'x*', 'y?')",
            're.fullmatch("x.*", a, re.DOTALL) or re.fullmatch("y.", a, re.DOTALL)',
            True,
        ),
        (
            "not wildcard_match(r.get('a'), '*.*')",
            'not re.fullmatch(".*\\\\..*", a, re.DOTALL) or not isinstance(a, str)',
            True,
        ),
        ("glob_match(r.get('a'), 'x/**')", "isinstance(a, str)", False),
        ("parse_time(r.get('a')) is None and r.get('b') == 1", "b == 1", False),
        ("decode_base64(r.get('a')) == 'x' and r.get('b') == 1", "b == 1", False),
        # a mistake of the rule raises
        ("ip_in_network(r.get('a'), 'x') and r.get('b') == 1", "True", False),
        ("glob_match(r.get('a'), '[z-a]') and r.get('b') == 1", "True", False),
        ("decode_base64(r.get('a'), 'no such') and r.get('b') == 1", "True", False),
        ("is_public_ip() and r.get('b') == 1", "True", False),
    ],
)
def test_helpers(expression: str, expected: str, exact: bool) -> None:
    names = "decode_base64, glob_match, ip_in_network, is_public_ip, parse_time, wildcard_match"
    head = f"from trapline_sandbox.helpers import {names}\nNETWORKS = ('10.0.0.0/8',)\n"
    script = f"{head}def detect(r):\n    return {expression}"
    found = infer(script)
    assert spelled(found.predicate) == expected
    assert (found.gaps == ()) is exact
    assert reads_of(script) is not None


@pytest.mark.parametrize(
    ("walked", "expected"),
    [
        ("deep_walk(r, 'a.b')", {"a?", "a.b"}),
        ("deep_walk(r, ['a', 'b'])", {"a?", "a.b"}),
        ("deep_walk(r.get('a'), 'b.c')", {"a?", "a.b?", "a.b.c"}),
        ("deep_walk(r, r.get('a'))", None),
        ("deep_walk(value=r, path='a')", None),
    ],
)
def test_what_deep_walk_reads(walked: str, expected: set[str] | None) -> None:
    found = reads_of(f"from trapline_sandbox.helpers import deep_walk\ndef detect(r):\n    return 'x' in {walked}")
    assert (found and {".".join(path) + ("" if whole else "?") for path, whole in found}) == expected
