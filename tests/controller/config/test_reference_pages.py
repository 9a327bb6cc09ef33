"""The reference pages of the two config files name every key, with its default and meaning, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trapline.config.document import read_document
from trapline.config.units import format_duration
from trapline.detection.model import DetectionConfig
from trapline.detection.parse import parse
from trapline.packs.manifest import Manifest
from trapline.packs.manifest import parse as parse_manifest
from trapline.settings import Settings
from trapline.settings import parse as parse_settings
from trapline.suppressions import Suppression

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Markdown table rows, `| key | default | meaning |`, groups followed by what is in them."""
    for name, field in model.model_fields.items():
        inner, many = _inner(field.annotation)
        key = f"{prefix}{name}{many}"
        default = "" if inner and not many else _default(field)
        yield f"| `{key}` | {default} | {field.description} |"
        if inner:
            yield from rows(inner, f"{key}.")


def _inner(kind: Any) -> tuple[type[BaseModel] | None, str]:
    """The model inside of an annotation, and how its keys are reached: `[]` in a list, `.NAME` in a mapping."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, ""
    for argument in get_args(kind):
        model, many = _inner(argument)
        if model:
            mark = {tuple: "[]", Mapping: ".NAME", Union: "", UnionType: ""}
            return model, mark.get(get_origin(kind), ".NAME") + many
    return None, ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if type(value) is int and value >= 2**20:
        return f"`{value // 2**20}MiB`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


@pytest.mark.parametrize(
    ("page", "model", "prefix"),
    [
        ("detection.md", DetectionConfig, ""),
        ("trapline-yml.md", Settings, ""),
        ("suppressions-yml.md", Suppression, "suppressions[]."),
        ("pack-yml.md", Manifest, ""),
    ],
    ids=["detection", "settings", "suppressions", "pack"],
)
def test_the_page_names_every_key(page: str, model: type[BaseModel], prefix: str) -> None:
    _, _, below = (REFERENCE / page).read_text().partition("| key | default | meaning |\n| --- | --- | --- |\n")
    assert below.partition("\n\n")[0].splitlines() == list(rows(model, prefix))


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (REFERENCE / page).read_text(), re.DOTALL)


def test_the_examples_of_detections_are_valid() -> None:
    [yml], [toml] = _blocks("detection.md", "yaml"), _blocks("detection.md", "toml")
    for path, text in (("detection.yml", yml), ("detection.toml", toml)):
        parsed = parse(path, text.encode())
        assert parsed.problems == ()
        assert parsed.config is not None
    said = set(read_document("detection.yml", yml.encode()).data)
    assert said >= set(DetectionConfig.model_fields) - {"query"}  # the TOML example has that one


def test_the_example_of_settings_is_valid() -> None:
    [text] = _blocks("trapline-yml.md", "yaml")
    assert parse_settings(text.encode())[1] == []
    assert set(read_document("trapline.yml", text.encode()).data) == set(Settings.model_fields)


def test_the_example_of_a_pack_is_valid() -> None:
    [text] = _blocks("pack-yml.md", "yaml")
    assert parse_manifest(text.encode())[1] == []
    assert set(read_document("pack.yml", text.encode()).data) == set(Manifest.model_fields)
