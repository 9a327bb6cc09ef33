"""Rules as people write them, and as nobody would: source text out of a grammar, and records that it has something to
say of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from textwrap import indent
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

# Records

TEXTS = ["", "a", "A", "b", "ab", "adm", "Adm.x", "1", "a/b", "ß", "İ", "8.8.8.8"]
_TEXT = st.sampled_from(TEXTS)
_STRUCT = pa.struct([("x", pa.string()), ("y", pa.int64()), ("n", pa.struct([("z", pa.string())]))])
_INSIDE = st.fixed_dictionaries(
    {
        "x": st.none() | _TEXT,
        "y": st.none() | st.integers(-1, 2),
        "n": st.none() | st.fixed_dictionaries({"z": st.none() | _TEXT}),
    }
)
_KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), _TEXT),
    (pa.string(), _TEXT),
    (pa.string(), _TEXT),
    (pa.int64(), st.integers(-1, 2)),
    (pa.float64(), st.sampled_from([0.0, 1.0, 1.5, float("nan")])),
    (pa.bool_(), st.booleans()),
    (pa.decimal128(5, 1), st.decimals(0, 2, places=1)),
    (pa.timestamp("us", "UTC"), st.just(datetime(2026, 1, 1, tzinfo=UTC))),
    (pa.binary(), st.sampled_from([b"", b"a"])),
    (pa.list_(pa.string()), st.lists(_TEXT, max_size=2)),
    (pa.list_(_STRUCT), st.lists(_INSIDE, max_size=2)),
    (pa.map_(pa.string(), pa.string()), st.dictionaries(_TEXT, _TEXT, max_size=2).map(lambda d: list(d.items()))),
    (_STRUCT, _INSIDE),
]
_ALWAYS = [("t", *_KINDS[0]), ("u", *_KINDS[1]), ("k", *_KINDS[3]), ("s", *_KINDS[-1])]
COLUMNS = ["t", "u", "k", "s", "v", "w"]


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Texts, a number and a struct, two columns of any kind, and sometimes one fewer than rules ask for."""
    columns = [*_ALWAYS, *((name, *draw(st.sampled_from(_KINDS))) for name in ("v", "w"))]
    columns = columns[: draw(st.sampled_from([6, 6, 6, 5, 4]))]
    length = draw(st.integers(1, 8))
    arrays = [
        pa.array(draw(st.lists(st.none() | values, min_size=length, max_size=length)), kind)
        for _, kind, values in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, [name for name, _, _ in columns])


# Rules

_CONSTANTS = ["None", "True", "False", "0", "1", "2", "1.0", "-1", '""', '"a"', '"A"', '"ab"', '"adm"', "b'a'", "()"]
_GROUPS = [
    '("a", "b")',
    '["a", 1, None]',
    '{"a", "ab"}',
    "()",
    "[]",
    "(1, True)",
    '("",)',
    "NAMES",
    "SETS",
    "TABLE",
    "FROZEN",
    '"abc"',
]
_NUMBERS = ["0", "1", "1.0", "-1", "2"]
_CONSTANT_LINES = """\
NAMES = ["a", "b"]
SETS = {"a", "adm"}
FROZEN = frozenset(["a", 1])
TABLE = {"a": 1, "b": 2, "adm": 5}
WORDS = {"a": "x", 1: "y", None: ""}
PREFIXES = ("a", "A")
PATTERN = re.compile("^a|b$", re.I)
KEY = "t"
PATH = "s.x"
NETS = ("8.0.0.0/8", "10.0.0.0/8")
"""
_OF_LIB = (  # other values under the same names
    _CONSTANT_LINES.replace('["a", "b"]', '["adm", "ab"]')
    .replace('{"a", "adm"}', '{"b", ""}')
    .replace('{"a": 1, "b": 2, "adm": 5}', '{"A": 1, "": 2}')
    .replace('("a", "A")', '("b", "")')
    .replace('"^a|b$"', '"^1"')
    .replace('KEY = "t"', 'KEY = "u"')
    .replace('PATH = "s.x"', 'PATH = "s.n.z"')
)
_IMPORTED = (
    "import re\n"
    "from trapline_sandbox.helpers import decode_base64, deep_walk, glob_match, ip_in_network, is_public_ip\n"
    "from trapline_sandbox.helpers import parse_time, wildcard_match as like\n"
)
_PACKAGES = [None, None, "", "one = 5", "first = 5", "from lib.one import first", "import lib.two", "NAMES = ['u']"]
"""What `lib/__init__.py` says, where there is one."""


class Code(NamedTuple):
    """A script, and the other files of its detection."""

    script: str
    modules: dict[str, bytes]

    def __str__(self) -> str:
        return "\n".join([self.script, *(f"# {path}\n{source.decode()}" for path, source in self.modules.items())])


class _Writer:
    """Writes one rule. `names` are those that may be bound; to read them may raise nevertheless."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.helpers: list[str] = []
        self.modules: list[str] = []
        """How the module that is written may write another one."""

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self._draw(st.integers(0, len(options) - 1))]

    def one_of(self, *makers: Callable[[], str]) -> str:
        made: str = self.pick(makers)()
        return made

    # Values

    def field(self, names: list[str], depth: int) -> str:
        column = self.pick([*COLUMNS, "t", "u", "s"])
        inner = self.pick(["x", "y", "n.z", "x", "nope", "0", "0.x", "a"])
        return self.one_of(
            lambda: f'r.get("{column}")',
            lambda: f'r.deepget("{column}")',
            lambda: f'r.deepget("{self.pick(["s", "s", "v", "w", "t"])}.{inner}")',
            lambda: f'r.deepget(["s", "{self.pick(["x", "y", "n"])}"])',
            lambda: f'r.get("{column}", {self.default(names, depth)})',
            lambda: f'r.deepget("s.{inner}", {self.default(names, depth)})',
            lambda: f'r.deepget("{column}.{inner}", default={self.default(names, depth)})',
            lambda: f'r["{column}"]',
            lambda: f'r["{column}"]["{self.pick(["x", "y", "n", "nope"])}"]',
            lambda: f'r.get("{column}", {{}}).get("{self.pick(["x", "y", "n"])}")',
            lambda: f'(r.get("{column}") or {{}}).get("{self.pick(["x", "y", "n"])}", {self.default(names, depth)})',
            lambda: f'r.get("{column}", {{}}).get("x", default="a")',
            lambda: f'r.get("{column}", {{"x": "a"}}).get("x")',
            lambda: 'r["s"].deepget("n.z")',
            lambda: 'r.get(KEY, "")',
            lambda: "r.deepget(PATH)",
            lambda: 'r.get("missing")',
        )

    def default(self, names: list[str], depth: int) -> str:
        return str(self.pick(['""', '""', "None", '"a"', "0", "[]", '["a"]', "{}", "False", '("a",)']))

    def text(self, names: list[str], depth: int) -> str:
        """Something that often is a text."""
        column = self.pick(["t", "u", "t", "v"])
        if depth <= 0:
            return str(self.pick([f'r.get("{column}", "")', f'(r.get("{column}") or "")', *names]))
        return self.one_of(
            lambda: f'r.get("{column}", "")',
            lambda: f'r.deepget("{self.pick(["t", "s.x", "s.n.z", "v", "w"])}", "")',
            lambda: f'(r.get("{column}") or "")',
            lambda: f'(r.deepget("s.x") or r.get("{column}") or "")',
            lambda: f"{self.text(names, depth - 1)}.{self.pick(['lower', 'upper', 'strip', 'title'])}()",
            lambda: f"str({self.value(names, depth - 1)})",
            lambda: f'{self.text(names, depth - 1)}.split("/")[{self.pick(["0", "-1", "1"])}]',
            lambda: f"{self.text(names, depth - 1)}[{self.pick(['0', ':1', '1:', '-1:', '::2', '::0'])}]",
            lambda: f"f'{{{self.field([], 0)}}}'",
            lambda: f"({self.text(names, depth - 1)} + {self.text(names, depth - 1)})",
            lambda: f"WORDS.get({self.value(names, depth - 1)}, {self.pick(_CONSTANTS)})",
            lambda: f'{self.text(names, depth - 1)}.replace("a", "b")',
            lambda: str(self.pick(names)) if names else '"a"',
        )

    def value(self, names: list[str], depth: int) -> str:
        if depth <= 0:
            return str(self.pick([*_CONSTANTS[:12], 'r.get("t")', 'r.get("k")', 'r.deepget("s.y")', *names, *names]))
        return self.one_of(
            lambda: self.field(names, depth),
            lambda: self.field(names, depth),
            lambda: self.text(names, depth - 1),
            lambda: str(self.pick(_CONSTANTS)),
            lambda: str(self.pick(names)) if names else "None",
            lambda: f"({self.value(names, depth - 1)} or {self.pick(_CONSTANTS)})",
            lambda: f"({self.value(names, depth - 1)} and {self.value(names, depth - 1)})",
            lambda: f"({self.value(names, 0)} if {self.condition(names, depth - 1)} else {self.value(names, 0)})",
            lambda: f"len({self.value(names, depth - 1)})",
            lambda: f"TABLE[{self.value(names, depth - 1)}]",
            lambda: f"TABLE.get({self.text(names, depth - 1)}{self.pick(['', ', 0', ', None'])})",
            lambda: self.called(names, depth),
            lambda: self.condition(names, depth - 1),
        )

    def called(self, names: list[str], depth: int) -> str:
        if not self.helpers:
            return self.value(names, depth - 1)
        name = self.pick(self.helpers)
        argument = self.pick(["r", self.value(names, depth - 1), self.value(names, depth - 1)])
        more = self.pick(["", "", f", {self.pick(_CONSTANTS)}", f", w={self.value(names, 0)}"])
        return f"{name}({argument}{more})"

    # Conditions

    def condition(self, names: list[str], depth: int) -> str:
        if depth <= 0:
            return self.one_of(
                lambda: (
                    f"{self.value(names, 0)} {self.pick(['==', '!=', 'is', 'is not'])} {self.pick(_CONSTANTS[:13])}"
                ),
                lambda: f"{self.value(names, 0)} {self.pick(['in', 'not in'])} {self.pick(_GROUPS)}",
                lambda: self.value(names, 0),
            )
        below = depth - 1
        return self.one_of(
            lambda: f"({self.condition(names, below)} {self.pick(['and', 'or'])} {self.condition(names, below)})",
            lambda: f"({self.condition(names, below)} {self.pick(['and', 'or'])} {self.condition(names, below)})",
            lambda: f"(not {self.condition(names, below)})",
            lambda: f"({self.value(names, below)} {self.pick(['==', '!='])} {self.value(names, below)})",
            lambda: f"({self.field(names, below)} {self.pick(['==', '!=', 'is', 'is not'])} {self.pick(_CONSTANTS)})",
            lambda: f"({self.value(names, below)} {self.pick(['<', '<=', '>', '>='])} {self.pick(_NUMBERS)})",
            lambda: f"({self.pick(_NUMBERS)} < {self.value(names, below)} <= {self.value(names, below)})",
            lambda: f"({self.value(names, below)} {self.pick(['in', 'not in'])} {self.pick(_GROUPS)})",
            lambda: f"({self.field(names, below)} {self.pick(['in', 'not in'])} {self.pick(_GROUPS)})",
            lambda: f"({self.pick(_CONSTANTS)} in {self.value(names, below)})",
            lambda: f'("a" in {self.text(names, below)})',
            lambda: f"({{'x': {self.value(names, 0)}}} {self.pick(['==', '!='])} {{'x': {self.pick(_CONSTANTS)}}})",
            lambda: f"({self.pick(_CONSTANTS)} in ({self.value(names, 0)}, {self.value(names, 0)}))",
            lambda: f"{self.text(names, below)}.{self.pick(['startswith', 'endswith'])}({self.affix()})",
            lambda: f"{self.field(names, below)}.startswith({self.affix()})",
            lambda: f"re.{self.pick(['match', 'search', 'fullmatch'])}({self.pattern()}, {self.text(names, below)})",
            lambda: (
                f"re.match({self.pattern()}, {self.field(names, below)}"
                f"{self.pick(['', ', re.I', ', flags=re.I | re.S'])})"
            ),
            lambda: f'PATTERN.{self.pick(["match", "search"])}({self.field(names, below)} or "")',
            lambda: f"(re.search({self.pattern()}, {self.text(names, below)}) is {self.pick(['', 'not '])}None)",
            lambda: f"isinstance({self.value(names, below)}, {self.pick(['str', 'int', '(str, int)', 'str | list'])})",
            lambda: f"bool({self.value(names, below)})",
            lambda: self.helped(names, below),
            lambda: self.quantified(names, below),
            lambda: (
                f"((x := {self.value(names, below)}) {self.pick(['and', 'or'])} {self.condition(['x', *names], below)})"
            ),
            lambda: f"({self.condition(names, below)} and (y := {self.value(names, below)}) == 'a')",
            lambda: self.called(names, depth),
        )

    def helped(self, names: list[str], depth: int) -> str:
        value, text = self.value(names, depth), self.text(names, depth)
        return self.one_of(
            lambda: f"is_public_ip({self.pick([value, text])})",
            lambda: f"ip_in_network({value}, {self.pick(['*NETS', '*NAMES', '*()', repr('8.8.8.0/24')])})",
            lambda: (
                f"like({self.pick([value, text])}, {self.pick(['*PREFIXES', repr('a*'), repr('?'), '*SETS', 'KEY'])}"
                f"{self.pick(['', ', ignore_case=True', ', ignore_case=False', ', ignore_case=1'])})"
            ),
            lambda: f"glob_match({text}, {self.pick([repr('a/*'), repr('[z-a]'), repr('**')])})",
            lambda: f"(parse_time({value}) is {self.pick(['', 'not '])}None)",
            lambda: f"(decode_base64({value}) == {self.pick(_CONSTANTS)})",
            lambda: f"any(i == 'a' for i in deep_walk(r, {self.pick(['PATH', repr('s.n.z'), repr('v.x'), 'KEY'])}))",
        )

    def affix(self) -> str:
        return str(self.pick(['"a"', '"A"', '""', '("a", "b")', "PREFIXES", '["a"]', "1", '("a", 1)']))

    def pattern(self) -> str:
        return str(self.pick(['"a"', '"^a.*b$"', '"(a)|b"', '"a*"', '"(?i)ADM"', '"["', '"x?"']))

    def quantified(self, names: list[str], depth: int) -> str:
        group = self.pick(['("a", "b")', "NAMES", '["a", ""]', "SETS", "()", "TABLE", "TABLE.items()", "PREFIXES"])
        target, inner = ("i, j", ["i", "j"]) if group.endswith("()") and group != "()" else ("i", ["i", "i"])
        asked = self.pick(["", "", f" if {self.condition([*inner, *names], 0)}"])
        element = self.one_of(
            lambda: f"i in {self.text(names, depth)}",
            lambda: f"{self.text(names, depth)}.startswith(i)",
            lambda: f"r.get(i) == {self.pick(_CONSTANTS)}",
            lambda: self.condition([*inner, *names], depth - 1),
        )
        return self.one_of(
            lambda: f"{self.pick(['any', 'all'])}({element} for {target} in {group}{asked})",
            lambda: f"any([{element} for {target} in {group}])",
            lambda: f"all([{self.condition(names, depth - 1)}, {self.condition(names, depth - 1)}])",
            lambda: f"{self.pick(['any', 'all'])}(i == 'a' for i in ({self.value(names, 0)}, {self.field(names, 0)}))",
        )

    # Statements

    def block(self, names: list[str], depth: int, *, loop: bool = False) -> str:
        """Some statements; the names they may bind are added to `names`."""
        count = self.pick([1, 1, 2, 2, 3])
        return "\n".join(self.statement(names, depth, loop=loop) for _ in range(count))

    def statement(self, names: list[str], depth: int, *, loop: bool) -> str:
        if depth <= 0:
            return self.one_of(
                lambda: f"return {self.condition(names, 1)}",
                lambda: f"return {self.pick(['True', 'False', 'None', ''])}",
                lambda: self.bound(names, f"= {self.value(names, 1)}"),
                lambda: "pass" if not loop else str(self.pick(["break", "continue"])),
            )
        below = depth - 1
        return self.one_of(
            lambda: f"if {self.condition(names, 2)}:\n{self.inside(names, below, loop)}",
            lambda: f"if {self.condition(names, 1)}:\n    return {self.pick(['True', 'False'])}",
            lambda: (
                f"if {self.condition(names, 1)}:\n{self.inside(names, below, loop)}\n"
                f"elif {self.condition(names, 1)}:\n{self.inside(names, below, loop)}\n"
                f"else:\n{self.inside(names, below, loop)}"
            ),
            lambda: self.bound(names, f"= {self.value(names, 2)}"),
            lambda: self.bound(names, f"= {self.text(names, 2)}"),
            lambda: self.bound(names, f"= {self.field(names, 1)} or {self.default(names, 0)}"),
            lambda: f"p, q = {self.value(names, 1)}, {self.value(names, 1)}" + (names.extend(["p", "q"]) or ""),
            lambda: (
                f"n = 0\nif {self.condition(names, 1)}:\n    n += 1\nif {self.condition(names, 1)}:\n    n += 2\n"
                f"if n {self.pick(['>=', '==', '<'])} {self.pick(['1', '2', '3'])}:\n{self.inside(names, below, loop)}"
            ),
            lambda: self.loop(names, below),
            lambda: f"assert {self.condition(names, 1)}, r",
            lambda: f"raise ValueError({self.value(names, 0)})",
            lambda: f"try:\n{self.inside(names, below, loop)}\nexcept {self.caught()}:\n{self.inside(names, 0, loop)}",
            lambda: f"{self.value(names, 1)}",
            lambda: self.pick(
                ["print(r)", "NAMES.index('a')", "import re", "import json", "while False: pass", "x = [1]"]
                + ["NAMES.append('a')", "SETS.discard('a')", "TABLE['a'] = 0", "z = NAMES"]
                + [f"{module}.NAMES.append('a')" for module in self.modules]
            ),
        )

    def inside(self, names: list[str], depth: int, loop: bool) -> str:
        return indent(self.block(names, depth, loop=loop), "    ")

    def bound(self, names: list[str], rest: str) -> str:
        name = self.pick(["x", "y", "z"])
        names.append(name)
        return f"{name} {rest}"

    def caught(self) -> str:
        return str(self.pick(["Exception", "(KeyError, TypeError, AttributeError)", "KeyError", "Exception as error"]))

    def loop(self, names: list[str], depth: int) -> str:
        group = self.pick(['("a", "b")', "NAMES", "[1, None]", "SETS", '("t", "u")', f"({self.value(names, 0)}, 1)"])
        body = self.inside([*names, "i"], depth, loop=True)
        otherwise = self.pick(["", "", f"\nelse:\n{self.inside(names, 0, loop=False)}"])
        return f"for i in {group}:\n    if {self.condition(['i', *names], 1)}:\n{indent(body, '    ')}{otherwise}"

    def functions(self, names: Sequence[str]) -> str:
        """Functions that may call those before them."""
        parts = []
        for name in names:
            default = self.pick(['w="a"', "w=None", "w=1", "w=[]"])
            body = self.one_of(
                lambda: f"{self.block(['r', 'w'], 1)}\nreturn {self.condition(['w'], 1)}",
                lambda: f"return {self.condition(['w'], 1)}",
                lambda: f"return {self.plain()}",
                lambda: f"return {self.plain()} {self.pick(['and', 'or'])} {self.called([], 0)}",
            )
            parts.append(f"def {name}(r, {default}):\n{indent(body, '    ')}\n")
            self.helpers.append(name)
        return "\n".join(parts)

    def imported(self, module: str, function: str, *, inside: bool = False) -> str:
        """A way to import `lib.module` that lets its function be called."""
        ways = [
            (f"from lib.{module} import {function}", function, ""),
            (f"from lib.{module} import {function} as {function}_", f"{function}_", ""),
            (f"import lib.{module}", f"lib.{module}.{function}", f"lib.{module}"),
            (f"import lib.{module} as {module}_", f"{module}_.{function}", f"{module}_"),
            (f"from lib import {module}", f"{module}.{function}", module),
            (f"from lib import {module} as {module}_", f"{module}_.{function}", f"{module}_"),
        ]
        if inside:
            ways += [
                (f"from .{module} import {function}", function, ""),
                (f"from . import {module}", f"{module}.{function}", module),
            ]
        statement, called, spelled = self.pick(ways)
        self.helpers += [called, called]
        self.modules += [spelled] if spelled else []
        return f"{statement}\n"

    def plain(self) -> str:
        """A condition as most are: a field and a constant of the module."""
        return self.one_of(
            lambda: f"r.get({self.pick(['KEY', repr('t'), repr('u')])}) in {self.pick(_GROUPS)}",
            lambda: f"r.deepget({self.pick(['KEY', 'PATH'])}) {self.pick(['==', '!='])} {self.pick(_CONSTANTS)}",
            lambda: f"PATTERN.search(r.get({self.pick(['KEY', repr('u')])}, ''))",
            lambda: f"any(r.get(KEY) == i for i in {self.pick(['NAMES', 'PREFIXES', 'FROZEN', 'TABLE'])})",
        )

    def detect(self) -> str:
        names: list[str] = []
        body = self.one_of(
            lambda: f"{self.block(names, 2)}\nreturn {self.condition(names, 2)}",
            lambda: f"return {self.called(names, 1)} {self.pick(['and', 'or'])} {self.plain()}",
            lambda: f"if not {self.called(names, 1)}:\n    return False\nreturn {self.condition(names, 1)}",
        )
        return f"def detect(r):\n{indent(body, '    ')}\n"

    def code(self) -> Code:
        own = self.pick([[], [], ["helper"], ["helper", "other"]])
        if self.pick([True, False, False]):
            return Code("\n".join([_IMPORTED, _CONSTANT_LINES, self.functions(own), self.detect()]), {})
        modules = {
            "lib/one.py": "\n".join([_IMPORTED, _OF_LIB, self.functions(self.pick([["first"], ["zero", "first"]]))])
        }
        self.helpers, self.modules = [], []
        between = self.one_of(str, lambda: self.imported("one", "first", inside=True))
        constants = self.pick([_OF_LIB, _CONSTANT_LINES, self.shared("one", _CONSTANT_LINES)])
        modules["lib/two.py"] = "\n".join([_IMPORTED, between, constants, self.functions(["second"]), self.changes()])
        if (package := self.pick(_PACKAGES)) is not None:
            modules["lib/__init__.py"] = package
        self.helpers, self.modules = [], []
        imports = self.imported("two", "second") + self.one_of(str, lambda: self.imported("one", "first"))
        constants = self.pick(
            [_CONSTANT_LINES, self.shared("one", _CONSTANT_LINES), self.shared("two", _CONSTANT_LINES)]
        )
        script = "\n".join([_IMPORTED, imports, constants, self.functions(own), self.detect(), self.changes()])
        return Code(script, {path: source.encode() for path, source in modules.items()})

    def changes(self) -> str:
        """What a module may do to the constants while it is imported."""
        holder = self.pick(["", *(f"{module}." for module in self.modules)])
        change = self.pick(
            ["NAMES.append('u')", "SETS.discard('a')", "TABLE['zz'] = 0", "NAMES.sort()", "NAMES.index('b')"]
        )
        return str(
            self.pick(["", "", "", f"try:\n    {holder}{change}\nexcept (ValueError, AttributeError):\n    pass\n"])
        )

    def shared(self, module: str, constants: str) -> str:
        """The constants, some of them imported."""
        lines = constants.splitlines()
        index = self._draw(st.integers(0, len(lines) - 1))
        name = lines[index].split(" = ")[0]
        lines[index] = f"from lib.{module} import {name}"
        return "\n".join(lines)


@st.composite
def rules(draw: st.DrawFn) -> Code:
    """The code of a rule."""
    return _Writer(draw).code()
