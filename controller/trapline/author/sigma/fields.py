"""Sigma's fields of CloudTrail, which are CloudTrail's own, as columns of the table `aws_cloudtrail`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from trapline.author.sigma.reasons import Keys, NotConverted
from trapline.config.words import did_you_mean
from trapline.tables.raw import RAW, Spec, column_name

Kind = Literal["text", "flag", "object", "list"]

_ECS = {
    "eventSource": "event.provider",
    "eventName": "event.action",
    "eventID": "event.id",
    "awsRegion": "cloud.region",
    "sourceIPAddress": "source.address",
    "userAgent": "user_agent.original",
    "errorCode": "error.code",
    "errorMessage": "error.message",
}
"""Where rules read what stands both in ECS and below `aws.cloudtrail`, and is the same."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a Sigma rule. `column` holds a text, a boolean, the JSON text of an object, or a list of structs;
    `path` leads on from there, and is empty where the column itself is meant."""

    name: str
    column: str
    kind: Kind
    path: tuple[str, ...] = ()

    @property
    def reader(self) -> str:
        """The function that a script reads an object with: `request_parameters`."""
        return self.column.rpartition(".")[2]


def field(name: str, keys: Keys) -> Field:
    """Where a rule finds a field. Raises NotConverted where there is no such field; `keys` say who asks."""
    if name in _ECS:
        return Field(name, _ECS[name], "text")
    parts = name.split(".")
    columns = ["aws", "cloudtrail"]
    spec: Spec = RAW
    for index, part in enumerate(parts):
        rest = tuple(parts[index + 1 :])
        if not isinstance(spec, Mapping) or part not in spec:
            raise _unknown(name, keys)
        spec = spec[part]
        columns.append(column_name(part))
        column = ".".join(columns)
        if spec == "json":
            return _inside(Field(name, column, "object" if rest else "text", rest), keys)
        if isinstance(spec, list):
            if len(rest) != 1 or rest[0] not in spec[0]:
                raise _unknown(name, keys)
            return Field(name, column, "list", (column_name(rest[0]),))
        if not rest and spec in ("text", "flag"):
            return Field(name, column, "flag" if spec == "flag" else "text")
    if isinstance(spec, Mapping):
        remedy = f"name one of its fields: {', '.join(f'{name}.{key}' for key in spec)}"
        raise NotConverted(keys, "sigma-field", f"`{name}` is an object", remedy)
    raise _unknown(name, keys)


READERS = frozenset(column_name(key) for key in ("inScopeOf", "attributes", *(k for k in RAW if RAW[k] == "json")))
"""What the functions for objects are called."""


@cache
def known_fields() -> tuple[str, ...]:
    """Every field that has a column, as Sigma spells it; what is inside of objects is not among them."""
    return tuple(_names(RAW, ""))


def _names(specs: Mapping[str, Spec], prefix: str) -> Iterator[str]:
    for key, spec in specs.items():
        if isinstance(spec, Mapping):
            yield from _names(spec, f"{prefix}{key}.")
        elif isinstance(spec, list):
            yield from _names(spec[0], f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _inside(found: Field, keys: Keys) -> Field:
    """The same field, if its way through an object is one of keys alone: lists on it need no word."""
    if any(not part or set(part) & set("{}[]*?") for part in found.path):
        message = f"`{found.name}` is no way through an object"
        raise NotConverted(keys, "sigma-field", message, "write keys and dots alone; each entry of a list is looked at")
    return found


def _unknown(name: str, keys: Keys) -> NotConverted:
    remedy = did_you_mean(name, known_fields()) or "write it as CloudTrail does, such as requestParameters.userName"
    return NotConverted(keys, "sigma-field", f"CloudTrail has no field `{name}`", remedy)
