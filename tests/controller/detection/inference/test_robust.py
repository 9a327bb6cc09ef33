"""Whatever Python it is given, inference answers, soon, and never raises: it is tried with the standard library's own.

`TRAPLINE_EXAMPLES` is the number of files; the long run takes all there are.
"""

from __future__ import annotations

import ast
import os
import sys
import sysconfig
import threading
import time
import warnings
from pathlib import Path

import pytest

from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import TRUE
from trapline.detection.inference.reads import reads_of
from trapline.detection.inference.spell import spelled

EXAMPLES = int(os.environ.get("TRAPLINE_EXAMPLES", "25"))
LIBRARY = Path(sysconfig.get_paths()["stdlib"])
SECONDS = 60.0
"""Of computing: far more than any takes on a slow machine, and less than a hang."""


def _functions(source: bytes) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ["detect"]
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def _ask(source: bytes | str, function: str = "detect") -> float:
    began = time.thread_time()
    spelled(infer(source, function=function).predicate)
    reads_of(source, function=function)
    return time.thread_time() - began


def test_the_standard_library() -> None:
    files = sorted(LIBRARY.rglob("*.py"))
    chosen = files[:: max(1, len(files) // EXAMPLES)]
    functions = [(path, name) for path in chosen for name in _functions(path.read_bytes())[:EXAMPLES]]
    assert len(functions) > len(chosen) / 4
    assert [(path, name) for path, name in functions if _ask(path.read_bytes(), name) > SECONDS] == []


def _detect(*lines: str) -> str:
    return "\n    ".join(["def detect(r):", *lines])


def _nested(how: str, times: int) -> list[str]:
    return [f"{' ' * n}{how.format(n)}" for n in range(times)] + [" " * times + "return 1"]


_CASES = [f"elif r.get('a') == {n}: return {n % 2}" for n in range(5_000)]
_DOUBLED = [f"X{n} = X{n - 1 if n else ''} + X{n - 1 if n else ''}" for n in range(60)]
_CLASS = "[\\u0100-\\uffff]"
DEEP = {
    "parentheses": _detect("return " + "(" * 150 + "r" + ")" * 150),
    "too many parentheses": _detect("return " + "(" * 5_000 + "r" + ")" * 5_000),
    "not": _detect("return " + "not " * 5_000 + "r"),
    "sums": _detect("return " + "+".join(["r"] * 5_000)),
    "attributes": _detect("return r" + ".a" * 5_000),
    "calls": _detect("return r" + ".get('a')" * 5_000),
    "or": _detect("return " + " or ".join(f"r.get('a') == {n}" for n in range(10_000))),
    "elif": _detect("if r.get('a') == -1: return 0", *_CASES),
    "ifs": _detect(*(f"if r.get('a{n}'): return {n % 2}" for n in range(5_000))),
    "counting": _detect("n = 0", *(f"if r.get('a{n}'): n += 1" for n in range(500)), "return n"),
    "nested": _detect(*_nested("if r.get('a{}'):", 90)),
    "loops": _detect(*_nested("for i{} in (1, 2, 3):", 15)),
    "names": "N = [" + ",".join(f"'{n}'" for n in range(50_000)) + "]\n" + _detect("return r.get('a') in N"),
    "text": _detect(f"return r.get('a') == '{'x' * 900_000}'"),
    "number": _detect(f"return r.get('a') == 0x{'f' * 100_000} or str(0x{'f' * 100_000})"),
    "power": _detect("return 9 ** 9 ** 9 ** 9"),
    "repeated": _detect("return 'a' * 10 ** 12 or [0] * 10 ** 12"),
    "doubling": "\n".join(["X = 'aaaaaaaaaa'", *_DOUBLED, _detect("return X59")]),
    "doubling a local": _detect("x = 'aaaaaaaaaa'", *["x = x + x"] * 60, "return x"),
    "splitting": _detect("x = 0", *(f"if r.get('a{n}'): x = x or r.get('b{n}')" for n in range(60)), "return x == 1"),
    "recursion": "def a(r, n):\n    return a(r, n + 1) or a(r, n)\n" + _detect("return a(r, 0)"),
    "a pattern on a default": "import re\n" + _detect("return re.match('(a+)+$', r.get('a', '" + "a" * 60 + "b'))"),
    "a pattern on nothing": "import re\n" + _detect("return re.match('((((a?){99}){99}){99}){99}', r.get('a', ''))"),
    "a pattern on a constant": "import re\n" + _detect("return re.match('(a+)+$', '" + "a" * 60 + "b')"),
    "a long pattern": "import re\n" + _detect(f"return re.match('(?i){_CLASS * 500}', r.get('a'))"),
    "a deep pattern": "import re\n" + _detect("return re.match('" + "(" * 1_000 + ")" * 1_000 + "', r.get('a'))"),
    "a pattern that prints": "import re\n" + _detect("return re.match('a', r.get('a'), re.DEBUG)"),
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_too_deep_or_too_long(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ask(DEEP[name]) < SECONDS
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\x00",
        b"def detect(r):\n    return '\x00'",
        b"\xff\xfe",
        b"# coding: utf-7\ndef detect(r):\n    return 1",
        b"# coding: nonsense\ndef detect(r):\n    return 1",
        "def detect(r):\n    return '\xe9'".encode("latin-1"),
        "\ud800",
        "def detect(r):\n    return r.get('\ud800')",
        "def detect(r):\n    return r.get('\\ud800') == '\\ud800'",
        "def detect(r):\n    break",
        "def detect(r):\n    return await r",
        "def detect(r, *, a=[]):\n    return a",
        "def detect(r):\n    x: int\n    return x",
        "def detect(r):\n    (yield)",
        "def detect(r):\n    nonlocal x\n    return x",
        "return 1",
        "lambda: (yield)",
        "def detect(r):\n    return r.get()",
        "def detect(r):\n    return r.get('a', 'b', 'c') or r.deepget(()) or r.deepget([]) or r[()]",
        "def detect(r):\n    return {**r} or [*r] or {*r} or f'{r:{r}}' or r[1:2, 3]",
        "def detect(r):\n    return {}[r] or ()[0] or ''[0] or [][-1] or {1: 2}[3] or 'a'.startswith(1)",
        "def detect(r):\n    return any() or all(1, 2) or bool() or str() or len() or isinstance(r) or range(-1)",
        "import re\ndef detect(r):\n    return re.match() or re.match('a') or re.compile() or re.match(1, 2, 3, 4)",
    ],
)
def test_what_is_no_python_or_strange(source: bytes | str) -> None:
    assert _ask(source) < SECONDS
    spelled(infer(source).predicate).encode()  # what is told can be printed


MANY = {f"m{n}.py": f"from m{n + 1} import f\nimport m0".encode() for n in range(2_000)}
MODULES: dict[str, tuple[str, dict[str, bytes]]] = {
    "a long chain": ("from m0 import f", {**MANY, "m2000.py": b"def f(r): return r.get('a')"}),
    "itself": ("from m import f", {"m.py": b"from m import f"}),
    "each other": ("from a import f", {"a.py": b"from b import f\nimport a, b", "b.py": b"import a\nfrom a import f"}),
    "the script": ("import lib.a", {"lib/a.py": b"from detect import detect as f"}),
    "no Python": ("from m import f", {"m.py": b"def f(r"}),
    "no text": ("from m import f", {"m.py": b"\xff\xfe"}),
    "out of the package": ("from lib.a import f", {"lib/a.py": b"from ....a import f\nfrom .. import f"}),
    "a name of nothing": ("from . import f\nfrom .m import f", {".py": b"", "__init__.py": b"f = 1", "m.py": b"f = 1"}),
    "calls in a circle": (
        "from m import f",
        {"m.py": b"import n\ndef f(r): return n.f(r)", "n.py": b"from m import f"},
    ),
    "wide": ("\n".join(f"import w{n}" for n in range(1_000)), {f"w{n}.py": b"f = 1" for n in range(1_000)}),
}


@pytest.mark.parametrize("name", MODULES)
def test_strange_modules(name: str) -> None:
    head, modules = MODULES[name]
    source = f"{head}\ndef detect(r):\n    return f(r)\n"
    began = time.thread_time()
    found = infer(source, modules)
    reads_of(source, modules)
    assert time.thread_time() - began < SECONDS
    assert found.predicate == TRUE or name == "a long chain"
    assert found.gaps or name == "a long chain"


def test_what_cannot_be_read_may_be_anything() -> None:
    assert infer("def detect(r").predicate == TRUE
    assert reads_of("def detect(r") is None
    assert infer(b"#" * (1024 * 1024 + 1)).gaps[0].reason == "it is too long to be read"


def test_warnings_about_a_script_are_kept_quiet_in_every_thread() -> None:
    source = "import re\ndef detect(r):\n    return re.match('[[a]', r.get('a')) or r.get('b') == '\\d' or 1 is 1"
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(20):
                assert infer(source).predicate != TRUE or infer(source).gaps
        except BaseException as error:
            raised.append(error)

    before = list(warnings.filters)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert list(warnings.filters) == before
    assert sys.getrecursionlimit() < 10_000
