"""The detection part of a Sigma rule: its selections and its condition, as terms."""

from __future__ import annotations

import builtins
import keyword
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.policy.profiles import TrustedPolicy
from sigma.rule.detection import EmptySigmaDetections, SigmaDetectionItem

from trapline.author.sigma.fields import READERS, field
from trapline.author.sigma.literals import inline_tuple, is_short
from trapline.author.sigma.reasons import Keys, NotConverted
from trapline.author.sigma.terms import Call, Term, every, negated, some
from trapline.author.sigma.values import Line
from trapline.config.words import did_you_mean
from trapline.detection.lint import OPTIONAL_FUNCTIONS

HELPERS = ("texts", "parsed", "number", "within")
_TAKEN = {
    *(*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *OPTIONAL_FUNCTIONS, *HELPERS, *READERS),
    *("detect", "record", "json", "re", "math", "Mapping", "fnmatchcase", "ip_address", "ip_network"),
}
_MOST = 10_000
"""Characters of a condition; what is longer was not written by a person."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule looks for: the condition over its selections, and the long tuples that they compare with."""

    condition: Term
    selections: tuple[Call, ...]
    constants: Mapping[str, Sequence[str]]


def read_rule(detection: Any) -> Rule:
    """The `detection` of a Sigma rule. Raises NotConverted."""
    if not isinstance(detection, Mapping) or not detection:
        raise _wrong(("detection",), "the rule has no `detection`", "write its selections and its condition there")
    if "timeframe" in detection:
        message = "`timeframe` counts what happens within a time"
        remedy = "convert the rule without it, and set `alert.threshold` and `alert.deduplication_window_minutes`"
        raise NotConverted(("detection", "timeframe"), "sigma-aggregation", message, remedy)
    return _Reader(detection).rule()


class _Reader:
    def __init__(self, detection: Mapping[str, Any]) -> None:
        self._detection = {str(name): value for name, value in detection.items()}
        self._names = [name for name in self._detection if name != "condition"]
        self._calls: dict[str, Call] = {}
        self._constants: dict[str, Sequence[str]] = {}

    def rule(self) -> Rule:
        given = self._detection.get("condition")
        conditions = [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]
        keys = ("detection", "condition")
        if not conditions or (isinstance(given, list) and len(conditions) < len(given)):
            raise _wrong(keys, "the rule has no `condition`", "write one, such as `condition: selection`")
        term = some([self._condition(one, keys) for one in conditions])
        if isinstance(term, Call):
            return Rule(term.inner, (), self._constants)
        return Rule(term, tuple(self._calls.values()), self._constants)

    def _condition(self, text: str, keys: Keys) -> Term:
        if "|" in text or re.search(r"\bnear\b", text):
            message = "the condition counts, or looks at several records: `|` and `near` are not converted"
            remedy = "convert what stands before it, and set `alert.threshold` and `alert.deduplication_window_minutes`"
            raise NotConverted(keys, "sigma-aggregation", message, remedy)
        if len(text) > _MOST:
            raise _wrong(keys, f"the condition has more than {_MOST:,} characters", "split the rule")
        try:
            parsed = SigmaCondition(text, EmptySigmaDetections()).parse(postprocess=False)
            return self._resolved(parsed, keys)
        except SigmaError as error:
            place = re.search(r"at char (\d+)", str(error))
            rest = text[int(place[1]) :].strip() if place else text
            message = f"the condition is not understood from `{rest}` on" if rest else "the condition is not complete"
            raise _wrong(keys, message, "combine selections with and, or, not and parentheses") from None
        except RecursionError:
            raise _wrong(keys, "the condition is nested too deeply", "flatten it") from None

    def _resolved(self, parsed: Any, keys: Keys) -> Term:
        match parsed:
            case ConditionIdentifier():
                return self._selection(parsed.identifier, keys)
            case ConditionSelector():
                wanted = ".*" if parsed.pattern == "them" else parsed.pattern.replace("*", ".*")
                names = [name for name in self._names if re.fullmatch(wanted, name) and not name.startswith("_")]
                if not names:
                    raise _wrong(keys, f"no selection is called `{parsed.pattern}`", self._near(parsed.pattern))
                link = every if parsed.cond_class is ConditionAND else some
                return link([self._selection(name, keys) for name in names])
            case ConditionNOT():
                return negated(self._resolved(parsed.args[0], keys))
            case ConditionAND() | ConditionOR():
                link = every if isinstance(parsed, ConditionAND) else some
                return link([self._resolved(inner, keys) for inner in parsed.args])
            case _:
                raise _wrong(keys, "the condition is not understood", "combine selections with and, or, not")

    def _near(self, name: str) -> str:
        return did_you_mean(name, self._names) or f"there are: {', '.join(self._names) or 'none'}"

    def _selection(self, name: str, keys: Keys) -> Call:
        if name not in self._names:
            raise _wrong(keys, f"there is no selection `{name}`", self._near(name))
        if name not in self._calls:
            function = _free(name, (call.function for call in self._calls.values()))
            self._calls[name] = Call(function, self._map(self._detection[name], ("detection", name), function))
        return self._calls[name]

    def _map(self, given: Any, keys: Keys, function: str) -> Term:
        if isinstance(given, list) and given and all(isinstance(entry, Mapping) for entry in given):
            return some([self._map(entry, (*keys, index), function) for index, entry in enumerate(given)])
        if isinstance(given, Mapping) and given:
            return every([self._line(key, value, (*keys, key), function) for key, value in given.items()])
        if given is None or given == [] or given == {}:
            raise _wrong(keys, f"`{keys[-1]}` selects nothing", "name fields in it, or remove it")
        raise _keywords(keys)

    def _line(self, key: Any, value: Any, keys: Keys, function: str) -> Term:
        name, *modifiers = str(key).split("|")
        if not name:
            raise _keywords(keys)
        if "re" in modifiers and {"startswith", "endswith"} & {*modifiers}:
            remedy = "write `^` or `$` into the regular expression"
            raise NotConverted(keys, "sigma-modifier", "`re` stands with startswith or endswith", remedy)
        column = field(name, keys)
        checked = _checked(value, modifiers, keys)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a regular expression that Python takes for another than was meant
                item = SigmaDetectionItem.from_mapping(str(key), checked, policy=TrustedPolicy)
        except SigmaError as error:
            known = "see the list of modifiers in Sigma's specification"
            raise NotConverted(keys, "sigma-value", f"`{key}`: {error}", _remedy(str(error), known)) from None
        except (ValueError, OverflowError, RecursionError, Warning) as error:
            raise NotConverted(keys, "sigma-value", f"`{key}`: {error}", "correct the value") from None
        line = Line(column, keys, self._constant_of(function, name))
        term = line.term(item.value, all_of_them=item.value_linking is ConditionAND)
        return negated(term) if item.negated else term

    def _constant_of(self, function: str, name: str) -> Callable[[Sequence[str]], str]:
        def constant(words: Sequence[str]) -> str:
            if is_short(words):
                return inline_tuple(words)
            same = (known for known, kept in self._constants.items() if list(kept) == list(words))
            if known := next(same, None):
                return known
            last = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rpartition(".")[2])
            made = _free(f"{function.strip('_')}_{last}".upper(), self._constants)
            self._constants[made] = words
            return made

        return constant


def _checked(value: Any, modifiers: Sequence[str], keys: Keys) -> Any:
    """The value, if it is of the kinds that Sigma knows."""
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str | int | float | bool | None):
            kind = "a mapping" if isinstance(one, Mapping) else "a list" if isinstance(one, list) else "a date"
            message = f"the value of `{keys[-1]}` is {kind}, not a text or number"
            raise NotConverted(keys, "sigma-value", message, "write it as text, in quotes")
        if "re" in modifiers and not isinstance(one, str):
            message = f"the regular expression {one} of `{keys[-1]}` is no text"
            raise NotConverted(keys, "sigma-value", message, "put it in quotes")
    return value


def _remedy(said: str, known: str) -> str:
    if "Unknown modifier" in said:
        return known
    return "correct the regular expression" if "expression" in said.lower() else "correct the value or its modifiers"


def _free(name: str, taken: Iterable[str]) -> str:
    """A name for Python that nothing else has."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    plain = f"selection_{plain}" if not plain[:1].isalpha() else plain
    used = {*taken, *_TAKEN}
    while plain in used:
        plain += "_"
    return plain


def _keywords(keys: Keys) -> NotConverted:
    message = f"`{keys[-1]}` looks for words anywhere in a record"
    remedy = "name the field that they stand in, such as `requestParameters.policy|contains`"
    return NotConverted(keys, "sigma-keywords", message, remedy)


def _wrong(keys: Keys, message: str, remedy: str) -> NotConverted:
    return NotConverted(keys, "sigma-condition", message, remedy)
