"""The values of one line of a Sigma selection, with their modifiers, as tests of a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from trapline.author.sigma.fields import Field, field
from trapline.author.sigma.literals import literal
from trapline.author.sigma.reasons import Keys, NotConverted
from trapline.author.sigma.terms import Example, Term, Test, every, some

_COMPARED = {
    CompareOperators.LT: ("<", -1),
    CompareOperators.LTE: ("<=", 0),
    CompareOperators.GT: (">", 1),
    CompareOperators.GTE: (">=", 0),
    CompareOperators.NEQ: ("!=", 1),
}
_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "re.IGNORECASE",
    SigmaRegularExpressionFlag.MULTILINE: "re.MULTILINE",
    SigmaRegularExpressionFlag.DOTALL: "re.DOTALL",
}
_ALIKE = ("exact", "prefix", "suffix", "part", "glob")
"""The ways in which texts are compared; those of one line that are compared alike are one test."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A text to compare with. `words` are what it is compared with: as Python has it, in lower case unless `cased`."""

    way: str
    words: str
    cased: bool
    example: Example


class Line:
    """One line: a field with its values. `constant` keeps a long tuple under a name, and returns that name."""

    def __init__(self, column: Field, keys: Keys, constant: Callable[[Sequence[str]], str]) -> None:
        self._field, self._keys, self._constant = column, keys, constant

    def term(self, values: Sequence[SigmaType], *, all_of_them: bool) -> Term:
        """What the values say together; of none, that the field is absent. Raises NotConverted."""
        given = list(values) or [SigmaNull()]
        if all_of_them:
            return every([self._any([value]) for value in given])
        return self._any(given)

    def _any(self, values: Sequence[SigmaType]) -> Term:
        flat = [inner for value in values for inner in _expanded(value)]
        networks = [value for value in flat if isinstance(value, SigmaCIDRExpression)]
        found = [self._one(value) for value in flat if not isinstance(value, SigmaCIDRExpression)]
        patterns = [one for one in found if isinstance(one, _Pattern)]
        others = [one for one in found if not isinstance(one, _Pattern)]
        return some([*self._alike(patterns), *([self._networks(networks)] if networks else []), *others])

    def _one(self, value: SigmaType) -> _Pattern | Term:
        match value:
            case SigmaNull():
                return self._absent()
            case SigmaExists():
                return self._present() if value.exists else self._absent()
            case SigmaString():
                return self._text(value)
            case SigmaBool():
                return self._spelled(str(value.boolean).lower())
            case SigmaTimestampPart():
                raise self._unsupported("hour, day and the like look into a time")
            case SigmaNumber():
                return self._spelled(str(value.number))
            case SigmaCompareExpression():
                return self._compared(value)
            case SigmaRegularExpression():
                return self._regex(value)
            case SigmaFieldReference():
                return self._reference(value)
            case _:
                raise self._unsupported(f"a value is a {type(value).__name__}")

    # What is there at all

    def _absent(self) -> Test:
        if self._field.path:
            return self._tested(self._texts(), "==", "[]", absent=True)
        return self._tested(self._column(), "is", "None", absent=True)

    def _present(self) -> Test:
        example = (Example(self._field),)
        if self._field.path:
            return self._tested(self._texts(), "!=", "[]", example)
        return self._tested(self._column(), "is not", "None", example)

    # Texts

    def _spelled(self, text: str) -> _Pattern | Term:
        """A number or boolean is compared as it is written."""
        if self._field.kind == "flag" and text in ("true", "false"):
            return self._flag(text)
        return _Pattern("exact", text, cased=False, example=Example(self._field, whole=text))

    def _flag(self, text: str) -> Test:
        return self._tested(self._column(), "is", text.capitalize(), (Example(self._field, whole=text),))

    def _text(self, value: SigmaString) -> _Pattern | Term:
        self._check_placeholders(value)
        cased = isinstance(value, SigmaCasedString)
        given = _joined(value)
        parts = [part.lower() if isinstance(part, str) and not cased else part for part in given]
        many = SpecialChars.WILDCARD_MULTI
        plain = next((part for part in given if isinstance(part, str)), "")
        match parts:
            case []:
                return self._empty()
            case [SpecialChars.WILDCARD_MULTI]:
                return self._present()
            case [str(text)]:
                if self._field.kind == "flag" and not cased and text in ("true", "false"):
                    return self._flag(text)
                return _Pattern("exact", text, cased, Example(self._field, whole=plain))
            case [str(text), last] if last == many:
                return _Pattern("prefix", text, cased, Example(self._field, start=plain))
            case [first, str(text)] if first == many:
                return _Pattern("suffix", text, cased, Example(self._field, end=plain))
            case [first, str(text), last] if first == last == many:
                return _Pattern("part", text, cased, Example(self._field, inside=plain))
        pattern = "".join(_glob(part) for part in parts)
        whole = "".join(part if isinstance(part, str) else "" if part == many else "a" for part in given)
        return _Pattern("glob", pattern, cased, Example(self._field, whole=whole))

    def _check_placeholders(self, value: SigmaString) -> None:
        names = ", ".join(f"%{part.name}%" for part in value.s if isinstance(part, Placeholder))
        if names:
            remedy = "put the values in place of the placeholder, and leave out `expand`"
            raise NotConverted(self._keys, "sigma-modifier", f"{names} stands for values that are not here", remedy)

    def _empty(self) -> Test:
        example = (Example(self._field, whole=""),)
        if self._is_many:
            return self._tested('""', "in", self._texts(), example)
        return self._tested(self._column(), "==", '""', example)

    def _alike(self, patterns: Sequence[_Pattern]) -> Iterator[Test]:
        for way in _ALIKE:
            for cased in (False, True):
                alike = [pattern for pattern in patterns if pattern.way == way and pattern.cased == cased]
                if alike:
                    yield self._test(way, cased, alike)

    def _test(self, way: str, cased: bool, patterns: Sequence[_Pattern]) -> Test:
        words = list(dict.fromkeys(pattern.words for pattern in patterns))
        right = literal(words[0]) if len(words) == 1 else self._constant(words)
        examples = (patterns[0].example,)
        text = ("text" if self._is_many else self._text_column()) + ("" if cased else ".lower()")
        if not self._is_many:
            if way == "exact":
                return self._tested(text, "==" if len(words) == 1 else "in", right, examples)
            if way == "part" and len(words) == 1:
                return self._tested(right, "in", text, examples)
        if way == "exact" and cased and len(words) == 1:
            return self._tested(right, "in", self._texts(), examples)
        single, several = {
            "exact": (f"{text} == {right}", f"{text} in {right}"),
            "prefix": (f"{text}.startswith({right})",) * 2,
            "suffix": (f"{text}.endswith({right})",) * 2,
            "part": (f"{right} in {text}", f"part in {text}"),
            "glob": (f"fnmatchcase({text}, {right})", f"fnmatchcase({text}, pattern)"),
        }[way]
        loops = [*self._each] if self._is_many else []
        if len(words) > 1 and way in ("part", "glob"):
            loops.append(f"for {'part' if way == 'part' else 'pattern'} in {right}")
        said = single if len(words) == 1 else several
        return self._tested(said, examples=examples, loops=tuple(loops))

    # What texts spell

    def _compared(self, value: SigmaCompareExpression) -> Test:
        sign, step = _COMPARED[value.op]
        wanted = value.number.number
        examples = (Example(self._field, whole=str(wanted + step)),)
        if self._is_many:
            return self._tested(f"number(text) {sign} {wanted}", examples=examples, loops=self._each)
        return self._tested(f"number({self._text_column()})", sign, str(wanted), examples)

    def _networks(self, values: Sequence[SigmaCIDRExpression]) -> Test:
        networks = ", ".join(literal(str(value.network)) for value in values)
        examples = (Example(self._field, whole=str(values[0].network.network_address)),)
        if self._is_many:
            return self._tested(f"within(text, {networks})", examples=examples, loops=self._each)
        return self._tested(f"within({self._column()}, {networks})", examples=examples)

    def _regex(self, value: SigmaRegularExpression) -> Test:
        self._check_placeholders(value.regexp)
        pattern = str(value.regexp)
        flags = " | ".join(_FLAGS[flag] for flag in _FLAGS if flag in value.flags)
        arguments = f", {flags}" if flags else ""
        search = f"re.search({literal(pattern)}, {{}}{arguments})"
        is_of_nothing = re.search(pattern, "", _python_flags(value)) is not None
        if self._is_many or is_of_nothing:
            return self._tested(search.replace("{}", "text"), made_up=False, loops=self._each)
        return self._tested(search.replace("{}", self._text_column()), "is not", "None", made_up=False)

    def _reference(self, value: SigmaFieldReference) -> Test:
        other = field(value.field, self._keys)
        said = {
            (False, False): "one.lower() == other.lower()",
            (True, False): "one.lower().startswith(other.lower())",
            (False, True): "one.lower().endswith(other.lower())",
            (True, True): "other.lower() in one.lower()",
        }[value.starts_with, value.ends_with]
        loops = (f"for one in {self._texts()}", f"for other in {texts(other)}")
        examples = (Example(self._field, whole="example"), Example(other, whole="example"))
        return self._tested(said, examples=examples, other=other, loops=loops)

    # How a field is read

    @property
    def _is_many(self) -> bool:
        """Whether it may hold several values, or another than text."""
        return bool(self._field.path) or self._field.kind == "flag"

    def _column(self) -> str:
        return f'record.deepget("{self._field.column}")'

    def _text_column(self) -> str:
        return f'record.deepget("{self._field.column}", "")'

    def _texts(self) -> str:
        return texts(self._field)

    def _tested(
        self,
        left: str,
        operator: str = "",
        right: str = "",
        examples: tuple[Example, ...] = (),
        *,
        absent: bool = False,
        made_up: bool = True,
        other: Field | None = None,
        loops: tuple[str, ...] = (),
    ) -> Test:
        fields = (self._field, other) if other else (self._field,)
        return Test(left, operator, right, examples, loops, self._field if absent else None, made_up, fields)

    @property
    def _each(self) -> tuple[str, ...]:
        return (f"for text in {self._texts()}",)

    def _unsupported(self, what: str) -> NotConverted:
        return NotConverted(self._keys, "sigma-modifier", f"{what}, which is not converted", "write this one by hand")


def texts(column: Field) -> str:
    """The expression that has all values of a field as texts."""
    path = ", ".join(map(literal, column.path))
    if column.kind == "object":
        return f"{column.reader}(record, {path})"
    return f'texts(record.deepget("{column.column}"){", " if path else ""}{path})'


def _expanded(value: SigmaType) -> Iterator[SigmaType]:
    if isinstance(value, SigmaExpansion):
        for inner in value.values:
            yield from _expanded(inner)
    else:
        yield value


def _joined(value: SigmaString) -> list[str | SpecialChars]:
    """The parts of a text, neighbours that are alike made one."""
    parts: list[str | SpecialChars] = []
    for part in value.s:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif isinstance(part, str) or (
            isinstance(part, SpecialChars) and [*parts[-1:], part] != [SpecialChars.WILDCARD_MULTI] * 2
        ):
            parts.append(part)
    return parts


def _glob(part: str | SpecialChars) -> str:
    """A part of a pattern as `fnmatch` has it."""
    if isinstance(part, str):
        return re.sub(r"([*?[])", r"[\1]", part)
    return "*" if part == SpecialChars.WILDCARD_MULTI else "?"


def _python_flags(value: SigmaRegularExpression) -> int:
    return sum(value.sigma_to_python_flags[flag].value for flag in value.flags)
