"""The script of a detection: what somebody would have written by hand for the rule."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from trapline.author.sigma.fields import Field
from trapline.author.sigma.literals import literal
from trapline.author.sigma.reasons import NotConverted
from trapline.author.sigma.rule import Rule
from trapline.author.sigma.terms import fields_of, function
from trapline.author.sigma.values import texts

_TEXTS = '''\
def texts(value, *path):
    """What lies at a path, as texts: of a list, all of its entries; of null, nothing."""
    if isinstance(value, list):
        return [text for entry in value for text in texts(entry, *path)]
    if path:
        return texts(value.get(path[0]), *path[1:]) if isinstance(value, Mapping) else []
    if value is None or isinstance(value, str):
        return [] if value is None else [value]
    return [json.dumps(value, ensure_ascii=False, separators=(",", ":"))]
'''
_PARSED = '''\
def parsed(text):
    """The object that a column holds as JSON; None where there is none."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return None
'''
_READER = '''\
def {name}(record, *path):
    """What lies at a path of this object, as texts."""
    return texts(parsed(record.deepget("{column}")), *path)
'''
_NUMBER = '''\
def number(text):
    """The number that a text spells; NaN, to which nothing compares, for any other."""
    return float(text) if re.fullmatch(r"-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?", text) else math.nan
'''
_WITHIN = '''\
def within(address, *networks):
    """Whether a text is an IP address of one of the networks."""
    try:
        return any(ip_address(address) in ip_network(network) for network in networks)
    except ValueError:
        return False
'''
_HELPERS = {"parsed": _PARSED, "texts": _TEXTS, "number": _NUMBER, "within": _WITHIN}
_IMPORTS = {
    "Mapping": "from collections.abc import Mapping",
    "json": "import json",
    "math": "import math",
    "re": "import re",
    "fnmatchcase": "from fnmatch import fnmatchcase",
    "ip_address": "from ipaddress import ip_address, ip_network",
}


def script(rule: Rule, shown: Sequence[Field]) -> str:
    """The text of detect.py. `shown` are the fields for `alert_context`."""
    functions = [
        function("detect", rule.condition),
        *([_context(shown)] if shown else []),
        *(function(call.function, call.inner) for call in rule.selections),
    ]
    functions += _readers([*fields_of(rule.condition), *shown])
    used = _names("\n".join(functions))
    functions += [text for name, text in _HELPERS.items() if name in used]
    constants = [_constant(name, words) for name, words in rule.constants.items()]
    code = "\n".join([*constants, *functions])
    used = _names(code)
    imports = [line for name, line in _IMPORTS.items() if name in used]
    plain, named = ([line for line in imports if line.startswith(start)] for start in ("import", "from"))
    head = "".join(f"{line}\n" for line in [*plain, *named])
    top = "\n".join(part for part in (head, "".join(constants)) if part)
    return "\n\n".join([*([top] if top else []), *functions])


def _readers(columns: Iterable[Field]) -> list[str]:
    objects = {field.column: field.reader for field in columns if field.kind == "object"}
    return [_READER.format(name=name, column=column) for column, name in objects.items()]


def _names(code: str) -> set[str]:
    """Every name that the code uses. Raises NotConverted where Python itself gives up on it."""
    try:
        return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    except (SyntaxError, RecursionError, MemoryError):
        keys = ("detection", "condition")
        raise NotConverted(keys, "sigma-condition", "the rule is nested too deeply", "flatten its condition") from None


def _context(shown: Sequence[Field]) -> str:
    rows = [f"        {literal(field.name)}: {_value(field)}," for field in shown]
    return "\n".join(["def alert_context(record):", "    return {", *rows, "    }", ""])


def _value(field: Field) -> str:
    return texts(field) if field.path else f'record.deepget("{field.column}")'


def _constant(name: str, words: Sequence[str]) -> str:
    return "\n".join([f"{name} = (", *(f"    {literal(word)}," for word in words), ")", ""])
