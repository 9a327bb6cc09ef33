"""What an operation of Python's comes out as, said in SQL: for each type of column in the words of that type.

The operation and its constant are Python's, so much of it does not depend on the value: a number has no `startswith`,
text is never equal to a number, an order between the two raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from trapline.detection.inference.predicate import Outcome, Regex, Test, comes_out
from trapline.query import sql
from trapline.query.regex import NotTheSame, translated

PRESENT, ANY, NONE = "PRESENT", "TRUE", "FALSE"
"""Conditions that do not depend on the value: there is one; none is needed; none holds."""

_ORDERS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_PLAIN = (str, bytes, bool, int, float, tuple, type(None))
NOT_ASCII = r"[^\x00-\x7F]"
"""What to search for in a text that is to be let through since it is not ASCII."""

_BIGGEST = 2**63 - 1

Said = Mapping[Outcome, str]
"""A condition for each outcome, of which one holds wherever there is a value; an outcome that is not in it is open."""


class Unsaid(Exception):
    """It cannot be said in SQL; the message is the reason."""


def outcomes(kind: pa.DataType, column: str, test: Test) -> str:
    """The condition that the test comes out as told for a value of this type. Raises Unsaid."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    said = _kind(kind)(kind, column, test)
    if test.outcome not in said:
        raise Unsaid(f"SQL cannot tell whether `{test.op}` is {test.outcome} of a {kind}")
    return said[test.outcome]


def _kind(kind: pa.DataType) -> Callable[[pa.DataType, str, Test], Said]:
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _text
    for matches, said in _KINDS:
        if matches(kind):
            return said
    raise Unsaid(f"SQL and Python may differ on a {kind}")


def _always(outcome: Outcome) -> Said:
    others: tuple[Outcome, ...] = ("true", "false", "raises")
    return {each: PRESENT if each == outcome else NONE for each in others}


def _either(true: str, false: str) -> Said:
    return {"true": true, "false": false, "raises": NONE}


_NEVER_RAISES: Said = {"raises": NONE}
_RAISES, _FALSE, _TRUE = _always("raises"), _always("false"), _always("true")


def _same_for_all(
    test: Test, comparable: tuple[type, ...], *, lacks: Iterable[str], hashable: bool = True
) -> Said | None:
    """What holds for every value of a type that has no operations in `lacks`; None where it depends on the value."""
    if test.op in lacks:
        return _RAISES
    if test.op == "hash":
        return _NEVER_RAISES if hashable else _RAISES
    if test.op == "eq" and _strange(test.value, comparable):
        return _FALSE
    if test.op == "is" and (test.value is None or isinstance(test.value, bool)):
        return _FALSE  # there is one True, and it is in a boolean
    if test.op == "in" and isinstance(test.value, tuple) and all(_strange(each, comparable) for each in test.value):
        return _FALSE
    if test.op in _ORDERS and _strange(test.value, comparable):
        return _RAISES
    return None


def _strange(constant: object, comparable: tuple[type, ...]) -> bool:
    """Whether a value is surely of another type than the constant: never equal to it, and in no order with it."""
    return type(constant) in _PLAIN and not isinstance(constant, comparable)


def _text(_: pa.DataType, column: str, test: Test) -> Said:
    if said := _same_for_all(test, (str,), lacks=("get", "deepget")):
        return said
    said = _of_text(f"{test.fold}({column})" if test.fold else column, test)
    if not test.fold and test.op != "match":
        return said
    # Beyond ASCII, engines change the case of fewer letters than Python, and know fewer digits.
    guard = f"regexp_like({column}, {sql.string(NOT_ASCII)})"
    return {outcome: text if text in (PRESENT, NONE) else f"{text} OR {guard}" for outcome, text in said.items()}


def _of_text(value: str, test: Test) -> Said:
    if test.op == "truthy":
        return _either(f"{value} <> ''", f"{value} = ''")
    if test.op == "eq":
        return _either(f"{value} = {_literal(test.value)}", f"{value} <> {_literal(test.value)}")
    if test.op == "in" and isinstance(test.value, tuple):
        return _in(value, [_literal(each) for each in test.value if isinstance(each, str)], test.value, (str,))
    if test.op in _ORDERS:
        compared = f"{value} {_ORDERS[test.op]} {_literal(test.value)}"
        return _either(compared, f"NOT {compared}")
    if test.op in ("startswith", "endswith"):
        return _affix(value, test.value if isinstance(test.value, tuple) else (test.value,), test.op)
    if test.op == "contains":
        return _contains(value, test.value)
    if test.op == "match" and isinstance(test.value, Regex):
        return _match(value, test)
    if test.op == "item" and isinstance(test.value, str):
        return _RAISES
    if test.op == "text":
        return _NEVER_RAISES
    raise Unsaid(f"`{test.op}` of text depends on more than SQL can say")


def _affix(value: str, affixes: tuple[object, ...], op: str) -> Said:
    if not all(isinstance(affix, str) for affix in affixes):
        raise Unsaid("an affix that is no text raises only where it is reached")
    if not affixes:
        return _FALSE
    if "" in affixes:
        return _TRUE
    said = [_starts(value, str(affix)) if op == "startswith" else _ends(value, str(affix)) for affix in affixes]
    return _either(" OR ".join(said), " AND ".join(f"NOT {each}" for each in said))


def _starts(value: str, prefix: str) -> str:
    return f"starts_with({value}, {_literal(prefix)})"


def _ends(value: str, suffix: str) -> str:
    if not any(sign in suffix for sign in "\\%_"):
        return f"{value} LIKE {_literal('%' + suffix)}"
    escaped = "".join(f"\\{sign}" if sign in "\\%_" else sign for sign in suffix)
    return f"{value} LIKE {_literal('%' + escaped)} ESCAPE '\\'"


def _contains(value: str, part: object) -> Said:
    if not isinstance(part, str):
        return _RAISES
    if not part:
        return _TRUE
    return _either(f"strpos({value}, {_literal(part)}) > 0", f"strpos({value}, {_literal(part)}) = 0")


def _match(value: str, test: Test) -> Said:
    try:
        pattern = translated(test.value)
    except NotTheSame as reason:
        raise Unsaid(f"the pattern has {reason}") from reason
    searched = f"regexp_like({value}, {sql.string(pattern)})"
    return _either(searched, f"NOT {searched}")


def _in(value: str, literals: list[str], constants: tuple[object, ...], comparable: tuple[type, ...]) -> Said:
    """`in` over the constants that can be equal; the others never are."""
    if not all(isinstance(each, comparable) or _strange(each, comparable) for each in constants):
        raise Unsaid("a constant that may be equal to anything")
    distinct = list(dict.fromkeys(literals))
    if not distinct:
        return _FALSE
    if len(distinct) == 1:
        return _either(f"{value} = {distinct[0]}", f"{value} <> {distinct[0]}")
    return _either(f"{value} IN ({', '.join(distinct)})", f"{value} NOT IN ({', '.join(distinct)})")


def _literal(text: object) -> str:
    if not isinstance(text, str) or any(sign in "\0\ufffd" or "\ud800" <= sign <= "\udfff" for sign in text):
        raise Unsaid("text that has no form in SQL")
    return sql.string(text)


_OF_TEXT = ("startswith", "endswith", "contains", "match", "get", "deepget", "item", "text")
"""What a plain value that is no text cannot do."""

_NUMBERS = (bool, int, float)


def _boolean(_: pa.DataType, column: str, test: Test) -> Said:
    """There are only two values, so Python can be asked."""
    true, false = (comes_out(test.op, value, test.value, test.fold) for value in (True, False))
    if true == false:
        return _always(true)
    return {**_always("raises"), "raises": NONE, true: column, false: f"NOT {column}"}


def _integer(kind: pa.DataType, column: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, _NUMBERS, lacks=_OF_TEXT):
        return said
    if test.op == "truthy":
        return _either(f"{column} <> 0", f"{column} = 0")
    if test.op in ("eq", "in"):
        constants = test.value if test.op == "in" else (test.value,)
        whole = [_whole(each) for each in constants if isinstance(each, _NUMBERS) and each == math.floor(_finite(each))]
        return _in(column, list(map(str, whole)), constants, _NUMBERS)
    if test.op not in _ORDERS:
        raise Unsaid(f"`{test.op}` of numbers depends on more than SQL can say")
    number = test.value
    rounded = math.ceil(_finite(number)) if test.op in ("lt", "ge") else math.floor(_finite(number))
    compared = f"{column} {_ORDERS[test.op]} {_whole(rounded)}"
    return _either(compared, f"NOT {compared}")


def _finite(number: float) -> float:
    if not isinstance(number, int) and not (isinstance(number, float) and math.isfinite(number)):
        raise Unsaid("a number that is not finite")
    return number


def _whole(number: float) -> int:
    if abs(number) > _BIGGEST:
        raise Unsaid("a number beyond 64 bits")
    return int(number)


def _float(kind: pa.DataType, column: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, _NUMBERS, lacks=_OF_TEXT):
        return said
    value = column if pa.types.is_float64(kind) else f"CAST({column} AS DOUBLE)"
    # No comparison with NaN is true. DuckDB takes it for more than any number, and Parquet's statistics forget it.
    nan = f"is_nan({column})"
    if test.op == "truthy":
        return _either(f"{value} <> 0e0 OR {nan}", f"{value} = 0e0")
    if test.op in ("eq", "in"):
        constants = test.value if test.op == "in" else (test.value,)
        said = _in(value, [_double(each) for each in constants if isinstance(each, _NUMBERS)], constants, _NUMBERS)
        return said if said is _FALSE else _either(said["true"], f"{said['false']} OR {nan}")
    if test.op not in _ORDERS:
        raise Unsaid(f"`{test.op}` of numbers depends on more than SQL can say")
    compared = f"{value} {_ORDERS[test.op]} {_double(test.value)}"
    return _either(f"{compared} AND NOT {nan}", f"NOT {compared} OR {nan}")


def _double(number: float) -> str:
    if abs(_finite(number)) > 2**1000 or float(number) != number:
        raise Unsaid("a number that no float is equal to")
    text = repr(float(number))
    return text if "e" in text else f"{text}e0"


def _decimal(_: pa.DataType, column: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, _NUMBERS, lacks=_OF_TEXT):
        return said
    if test.op == "truthy":
        return _either(f"{column} <> 0", f"{column} = 0")
    raise Unsaid("decimals are compared in another way")


def _moment(kind: pa.DataType, _: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, (), lacks=_OF_TEXT):
        return said
    if test.op == "truthy" and not pa.types.is_duration(kind):
        return _TRUE
    raise Unsaid("times are compared in another way")


def _bytes(_: pa.DataType, __: str, test: Test) -> Said:
    if said := _same_for_all(test, (bytes,), lacks=("get", "deepget", "text")):
        return said
    if test.op in ("contains", "item") and isinstance(test.value, str):
        return _RAISES
    raise Unsaid("binary data is compared in another way")


_OF_MAPPINGS = ("startswith", "endswith", "match", "text")
"""What neither structs nor maps can do."""


def _struct(kind: pa.DataType, _: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, (), lacks=_OF_MAPPINGS, hashable=False):
        return said
    names = {field.name for field in kind}
    if test.op == "truthy":
        return _TRUE if names else _FALSE
    if test.op == "contains" and type(test.value) in _PLAIN:
        return _TRUE if test.value in names else _FALSE
    if test.op == "item" and isinstance(test.value, str):
        return _NEVER_RAISES if test.value in names else _RAISES
    if test.op in ("get", "deepget") and isinstance(test.value, str):
        return _NEVER_RAISES
    raise Unsaid(f"`{test.op}` of a struct depends on more than its fields")


def _list(kind: pa.DataType, column: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, (), lacks=(*_OF_MAPPINGS, "get", "deepget"), hashable=False):
        return said
    if test.op == "truthy":
        return _either(f"cardinality({column}) > 0", f"cardinality({column}) = 0")
    if test.op == "item" and isinstance(test.value, str):
        return _RAISES
    if test.op == "contains" and isinstance(test.value, str) and pa.types.is_string(kind.value_type):
        # Not `contains`: to DuckDB that is about the list's text, and NULL to Athena where one among them is null.
        found = f"coalesce(array_position({column}, {_literal(test.value)}), 0) > 0"
        return _either(found, f"{column} IS NOT NULL AND NOT {found}")
    raise Unsaid("lists are compared in another way")


def _map(_: pa.DataType, column: str, test: Test) -> Said:
    if test.fold:
        return _RAISES
    if said := _same_for_all(test, (), lacks=(*_OF_MAPPINGS, "deepget"), hashable=False):
        return said
    if test.op == "truthy":
        return _either(f"cardinality({column}) > 0", f"cardinality({column}) = 0")
    if test.op == "get" and isinstance(test.value, str):
        return _NEVER_RAISES
    raise Unsaid("maps are compared in another way")


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType, str, Test], Said]], ...] = (
    (pa.types.is_boolean, _boolean),
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_temporal, _moment),
    (pa.types.is_binary, _bytes),
    (pa.types.is_large_binary, _bytes),
    (pa.types.is_fixed_size_binary, _bytes),
    (pa.types.is_struct, _struct),
    (pa.types.is_list, _list),
    (pa.types.is_large_list, _list),
    (pa.types.is_map, _map),
)
