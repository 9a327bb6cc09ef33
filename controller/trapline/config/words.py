"""What is wrong with a value, in plain words: pydantic's errors and unknown keys as problems."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trapline.config.document import Document
from trapline.errors import Problem

Path = tuple[str | int, ...]


def did_you_mean(word: str, choices: Collection[str]) -> str:
    """`did you mean `x`?`, or an empty text where nothing comes near."""
    near = difflib.get_close_matches(word[:200], list(choices), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def explain(error: ValidationError, document: Document, data: Mapping[str, Any]) -> list[Problem]:
    """One problem per place for what pydantic found wrong in `data`, which was made from the document."""
    problems: dict[Path, Problem] = {}
    for detail in error.errors(include_url=False):
        keys = _existing(detail, data)
        code = "missing-key" if detail["type"] == "missing" else "invalid-value"
        message, remedy = _words(keys, detail)
        problems.setdefault(keys, document.problem(keys, code, message, remedy))
    return list(problems.values())


def unknown_keys(model: type[BaseModel], document: Document, data: Mapping[str, Any]) -> list[Problem]:
    """A warning, with a suggestion, for every key that the model does not know."""
    return [
        document.problem(
            keys,
            "unknown-key",
            f"unknown key `{dotted(keys)}` is ignored",
            did_you_mean(str(keys[-1]), known) or f"known here: {', '.join(known)}",
            severity="warning",
        )
        for keys, known in _unknown(model, data, ())
    ]


def dotted(keys: Sequence[str | int]) -> str:
    """`tests[0].expect.title`"""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def _unknown(model: type[BaseModel], data: Mapping[Any, Any], keys: Path) -> Iterator[tuple[Path, list[str]]]:
    for key, value in data.items():
        field = model.model_fields.get(key) if isinstance(key, str) else None
        if field is None:
            if model.model_config.get("extra") != "allow":
                yield (*keys, str(key)), list(model.model_fields)
            continue
        if not isinstance(value, dict | list):
            continue
        for inner, entry, path in _models_in(field.annotation, value, (*keys, key)):
            yield from _unknown(inner, entry, path)


def _models_in(kind: Any, value: Any, keys: Path) -> Iterator[tuple[type[BaseModel], Mapping[Any, Any], Path]]:
    """The models that an annotation puts inside of a value, with the part of the value that each is for."""
    if not isinstance(value, dict | list):
        return
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if isinstance(value, dict):
            yield kind, value, keys
        return
    arguments = [argument for argument in get_args(kind) if argument is not Ellipsis]
    if get_origin(kind) in (Union, UnionType):
        parts: list[tuple[Any, Any, Path]] = [(argument, value, keys) for argument in arguments]
    elif isinstance(value, dict):
        parts = [(arguments[-1], entry, (*keys, str(key))) for key, entry in value.items() if arguments]
    else:
        parts = [(arguments[0], entry, (*keys, index)) for index, entry in enumerate(value) if arguments]
    for part in parts:
        yield from _models_in(*part)


def _existing(detail: ErrorDetails, data: Any) -> Path:
    """The part of pydantic's location that is in the data (it adds the names of union members and the like)."""
    keys: Path = ()
    for key in detail["loc"]:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return (*keys, key) if detail["type"] == "missing" else keys
        keys = (*keys, key)
    return keys


def _words(keys: Path, detail: ErrorDetails) -> tuple[str, str]:
    key, value, context = f"`{dotted(keys)}`", detail["input"], detail.get("ctx", {})
    last = next((str(part) for part in reversed(keys) if isinstance(part, str)), "")
    match detail["type"]:
        case "missing":
            return f"{key} is missing", f"add `{last}`"
        case "string_type":
            remedy = f'put it in quotes: "{value}"' if isinstance(value, int | float | date) else "write one text"
            return f"{key} is {_noun(value)} and should be text", remedy
        case "bool_type" | "bool_parsing":
            return f"{key} is {_show(value)} and should be true or false", "write true or false, without quotes"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{key} is {_show(value)} and should be a whole number", "write a number without quotes, such as 5"
        case "float_type" | "float_parsing" | "finite_number":
            return f"{key} is {_show(value)} and should be a number", "write a number without quotes, such as 0.5"
        case "tuple_type" | "list_type":
            return f"{key} is {_noun(value)} and should be a list", f"write a list: [{_show(value, quote=False)}]"
        case "dict_type" | "mapping_type" | "model_type" | "model_attributes_type":
            return f"{key} is {_noun(value)} and should be a group of keys", f"write keys beneath `{last}`"
        case "enum" | "literal_error":
            expected = str(context["expected"])
            near = did_you_mean(str(value), re.findall("'([^']*)'", expected))
            wanted = f"one of {expected}" if " or " in expected else expected
            return f"{key} is {_show(value)} and should be {wanted}", near or f"write {wanted}"
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than" as kind:
            bound = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}[kind]
            word = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}[bound]
            wanted = f"{word} {context[bound]}"
            return f"{key} is {_show(value)} and should be {wanted}", f"write a number that is {wanted}"
        case "too_short":
            return f"{key} is empty and should have at least {context['min_length']} entry", f"add an entry to `{last}`"
        case "string_too_short":
            return f"{key} is empty", f"write something beneath `{last}`, or remove it"
        case "string_too_long":
            most = f"{context['max_length']:,} characters"
            return f"{key} has {len(value):,} characters, and {most} are the most", "shorten it"
        case "value_error":
            return f"{key}: {context['error']}", str(getattr(context["error"], "remedy", ""))
        case kind if kind.startswith("date"):
            return f"{key} is {_show(value)} and should be a date", "write a date such as 2022-10-23"
        case _:
            return f"{key} is {_show(value)}: {detail['msg']}", "see the reference of this file's keys"


def _noun(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    if value is None:
        return "empty"
    return "a date" if isinstance(value, date) else names.get(type(value), "a group of keys")


def _show(value: Any, *, quote: bool = True) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value) if quote else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
