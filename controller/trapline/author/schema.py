"""JSON Schemas of the config files, from the models that read them: editors complete and check by these."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from trapline.config.units import format_duration
from trapline.delivery.plugins import Plugins
from trapline.detection.model import DetectionConfig
from trapline.packs.manifest import Manifest
from trapline.settings import DestinationSettings, Settings
from trapline.suppressions import SuppressionsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE = {"type": "string", "pattern": r"\$\{[^{}]+\}", "description": "A reference to a secret: `${env:NAME}`."}


class Subject(StrEnum):
    """A config file that there is a schema of."""

    DETECTION = "detection"
    TRAPLINE = "trapline"
    SUPPRESSIONS = "suppressions"
    PACK = "pack"


def schema_of(subject: Subject, plugins: Plugins) -> dict[str, Any]:
    """The schema of a file. That of trapline.yml has the settings of every kind of destination that `plugins` bring.

    A key that is not known does not fulfil it, nor does one that stands where it is read with a warning.
    """
    match subject:
        case Subject.DETECTION:
            schema = _schema(DetectionConfig, "A detection: detection.yml or detection.toml")
        case Subject.SUPPRESSIONS:
            schema = _schema(SuppressionsFile, "suppressions.yml: which matches raise no alerts")
        case Subject.PACK:
            schema = _schema(Manifest, "pack.yml: what a pack of detections is")
        case Subject.TRAPLINE:
            schema = _schema(Settings, "trapline.yml: the settings of a detections repository")
            _describe_destinations(schema["$defs"], plugins)
    return {"$schema": DIALECT, **schema}


class _Generate(GenerateJsonSchema):
    """As people write the file: without titles, which repeat the keys, and closed, for a key that nobody reads is a
    mistake."""

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        made = super().generate(schema, mode)
        _drop_bounds(made)
        return made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default") is None or isinstance(made["default"], dict):  # which says nothing more
            made.pop("default", None)
        return made

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        if schema["cls"].model_config.get("extra") != "allow":
            made["additionalProperties"] = False
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _drop_bounds(part: Any) -> None:
    """Takes away the bounds of sizes and durations, which pydantic leaves in words that no schema has."""
    if isinstance(part, dict):
        for word in ("ge", "gt", "le", "lt"):
            if isinstance(part.get(word), int | float):
                del part[word]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            _drop_bounds(inner)


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Generate)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("title", None)
    schema.pop("description", None)
    return {"title": title, **schema}


def _describe_destinations(definitions: dict[str, Any], plugins: Plugins) -> None:
    """Of a destination: what every one has, and by its `type` the settings of that kind, defined by themselves."""
    destination = definitions[DestinationSettings.__name__]
    common = destination["properties"]
    common["type"]["enum"] = sorted(plugins.destinations)
    destination["allOf"] = []
    for kind, brought in sorted(plugins.destinations.items()):
        options = brought.config_model.model_json_schema(
            schema_generator=_Generate, ref_template=f"#/$defs/{kind}.{{model}}"
        )
        definitions |= {f"{kind}.{name}": one for name, one in options.pop("$defs", {}).items()}
        own = {name: _or_reference(value) for name, value in options.get("properties", {}).items()}
        definitions[kind] = {**options, "properties": {**dict.fromkeys(common, True), **own}}
        is_it = {"properties": {"type": {"const": kind}}, "required": ["type"]}
        destination["allOf"].append({"if": is_it, "then": {"$ref": f"#/$defs/{kind}"}})


def _or_reference(value: Mapping[str, Any]) -> dict[str, Any]:
    if value.get("type") == "string" and "format" not in value:
        return dict(value)
    described = {key: value[key] for key in ("description", "default") if key in value}
    return {**described, "anyOf": [{key: part for key, part in value.items() if key not in described}, _REFERENCE]}
