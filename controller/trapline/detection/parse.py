"""The text of detection.yml or detection.toml -> DetectionConfig, with every problem in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from trapline.config.document import Document, UnreadableConfig, present, read_document
from trapline.config.words import Path, explain, unknown_keys
from trapline.detection.model import AlertSettings, DetectionConfig, QuerySettings, Reports
from trapline.errors import Problem

_GROUPS: dict[str, type[BaseModel]] = {"reports": Reports, "alert": AlertSettings, "query": QuerySettings}
_GROUP_OF = {key: group for group, model in _GROUPS.items() for key in model.model_fields}
_IDENTITY = re.compile(r"""^(id|name)[ \t]*[:=][ \t]*["']?([^\s"'#]+)""", re.MULTILINE)


@dataclass(frozen=True)
class Parsed:
    """What could be made of a config file. `name` and `id` are there even where the config as a whole is not."""

    document: Document | None
    config: DetectionConfig | None
    problems: tuple[Problem, ...]
    name: str | None = None
    id: str | None = None


@lru_cache(maxsize=10_000)  # a new revision changes few of its configs
def parse(path: str, content: bytes) -> Parsed:
    """Parses a config file; never raises."""
    try:
        document, data, lifted = read_config(path, content)
    except UnreadableConfig as error:
        said: dict[str, str] = dict(reversed(_IDENTITY.findall(content.decode("utf-8", "replace"))))
        return Parsed(None, None, (error.problem,), said.get("name"), said.get("id"))
    problems = [*document.warnings, *lifted, *unknown_keys(DetectionConfig, document, data)]
    config = None
    try:
        config = DetectionConfig.model_validate(data)
    except ValidationError as error:
        problems += explain(error, document, data)
    return Parsed(document, config, tuple(problems), _text(data.get("name")), _text(data.get("id")))


def read_config(path: str, content: bytes) -> tuple[Document, dict[str, Any], list[Problem]]:
    """The document, its data in the grouped form, and what was said about moving keys. Raises UnreadableConfig."""
    document = read_document(path, content)
    data = present(document.data, groups=list(_GROUPS))
    flat = [key for key in data if key in _GROUP_OF and isinstance(data.get(_GROUP_OF[key], {}), dict)]
    problems = [_lift(document, data, key) for key in flat]
    moved: dict[Path, Path] = {
        (_GROUP_OF[key], key): (key,) for key in flat if key not in _group(document.data, _GROUP_OF[key])
    }
    return replace(document, moved=moved), data, problems


def _lift(document: Document, data: dict[str, Any], key: str) -> Problem:
    """Puts a key that stands at the top level, as the format's document prints it, into its group."""
    group, value = _GROUP_OF[key], data.pop(key)
    if key in _group(data, group):
        message = f"`{key}` is given both at the top level and in `{group}`, and the latter counts"
        return document.problem((key,), "misplaced-key", message, "remove one of the two", severity="warning")
    data[group] = {**_group(data, group), key: value}
    message = f"`{key}` stands at the top level and belongs to `{group}`; it is read as `{group}.{key}`"
    remedy = f"move it beneath [{group}]" if document.is_toml else f"indent it beneath `{group}:`"
    return document.problem((key,), "misplaced-key", message, remedy, severity="warning")


def _group(data: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    return data.get(group) or {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
