"""The schemas of the config files: they take what Trapline takes without a word, and refuse what it would tell of."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from trapline.author.schema import Subject, schema_of
from trapline.cli import cli
from trapline.delivery.plugins import load_plugins

ROOT = Path(__file__).parents[3]
PACK = sorted((ROOT / "detections").glob("*/detection.[yt]*ml"))


@pytest.fixture(scope="module")
def schemas() -> dict[Subject, Draft202012Validator]:
    plugins = load_plugins()
    return {subject: Draft202012Validator(schema_of(subject, plugins)) for subject in Subject}


def read(text: str, *, toml: bool = False) -> Any:
    """As an editor sees it: a date is a text."""
    data = tomllib.loads(text) if toml else yaml.safe_load(text)
    return json.loads(json.dumps(data, default=lambda value: value.isoformat() if isinstance(value, date) else value))


def blocks(page: str, language: str) -> Iterator[str]:
    for part in (ROOT / "docs/reference" / page).read_text().split(f"```{language}\n")[1:]:
        yield part.partition("```")[0]


@pytest.mark.parametrize("subject", Subject)
def test_each_is_a_schema(subject: Subject) -> None:
    said = CliRunner().invoke(cli, ["schema", subject.value], catch_exceptions=False).stdout
    Draft202012Validator.check_schema(json.loads(said))


def test_the_manifest_of_the_pack_fulfils_it(schemas: dict[Subject, Draft202012Validator]) -> None:
    schemas[Subject.PACK].validate(read((ROOT / "pack.yml").read_text()))


@pytest.mark.parametrize("file", PACK, ids=lambda file: file.parent.name)
def test_the_pack_fulfils_it(schemas: dict[Subject, Draft202012Validator], file: Path) -> None:
    schemas[Subject.DETECTION].validate(read(file.read_text(), toml=file.suffix == ".toml"))


@pytest.mark.parametrize(
    ("subject", "page", "language"),
    [
        (Subject.DETECTION, "detection.md", "yaml"),
        (Subject.DETECTION, "detection.md", "toml"),
        (Subject.TRAPLINE, "trapline-yml.md", "yaml"),
        (Subject.SUPPRESSIONS, "suppressions-yml.md", "yaml"),
    ],
)
def test_the_examples_of_the_reference_fulfil_it(
    schemas: dict[Subject, Draft202012Validator], subject: Subject, page: str, language: str
) -> None:
    text = next(blocks(page, language))
    schemas[subject].validate(read(text, toml=language == "toml"))


DETECTION = "name: one\ntables: [logs]\n"
TRAPLINE = "destinations:\n  soc:\n    "


@pytest.mark.parametrize(
    ("subject", "text", "place"),
    [
        (Subject.DETECTION, "name: one\n", []),
        (Subject.DETECTION, DETECTION + "tabels: [x]\n", []),
        (Subject.DETECTION, DETECTION + "alert: {severity: loud}\n", ["alert", "severity"]),
        (Subject.DETECTION, DETECTION + "alert: {threshold: 0}\n", ["alert", "threshold"]),
        (Subject.DETECTION, DETECTION + "schedule: {every: often}\n", ["schedule", "every"]),
        (Subject.DETECTION, DETECTION + "limits: {memory: much}\n", ["limits", "memory"]),
        (Subject.DETECTION, DETECTION + "created: yesterday\n", ["created"]),
        (Subject.DETECTION, DETECTION + "tests: [{name: a, records: [], match: true}]\n", ["tests", 0, "records"]),
        (Subject.TRAPLINE, TRAPLINE + "type: slak\n", ["destinations", "soc", "type"]),
        (Subject.TRAPLINE, TRAPLINE + "url: x\n", ["destinations", "soc"]),
        (Subject.TRAPLINE, TRAPLINE + "{type: webhook, ulr: x}\n", ["destinations", "soc"]),
        (
            Subject.TRAPLINE,
            TRAPLINE + "{type: email, host: h, sender: s, to: [t], port: no}\n",
            ["destinations", "soc"],
        ),
        (Subject.TRAPLINE, TRAPLINE + "{type: console, rate: fast}\n", ["destinations", "soc", "rate"]),
        (Subject.TRAPLINE, "alerts: {storm: many}\n", ["alerts", "storm"]),
        (Subject.SUPPRESSIONS, "suppressions: [{detection: a}]\n", ["suppressions", 0]),
        (Subject.PACK, "{name: a, title: A, description: a, license: MIT, tables: [logs]}\n", ["tables"]),
    ],
)
def test_a_mistake_is_found_where_it_is(
    schemas: dict[Subject, Draft202012Validator], subject: Subject, text: str, place: list[str | int]
) -> None:
    found = [list(error.absolute_path) for error in schemas[subject].iter_errors(read(text))]
    assert found
    assert all(one[: len(place)] == place for one in found)


@pytest.mark.parametrize(
    "options",
    [
        "{type: webhook, url: '${env:URL}', rate: 60/m}",
        "{type: console, color: '${env:COLOUR}'}",
        "{type: email, host: h, sender: s, to: [t@example.org], port: '${env:PORT}'}",
    ],
)
def test_a_setting_may_be_a_reference(schemas: dict[Subject, Draft202012Validator], options: str) -> None:
    schemas[Subject.TRAPLINE].validate(read(TRAPLINE + options))


def test_a_key_is_described_as_in_the_reference() -> None:
    schema = schema_of(Subject.DETECTION, load_plugins())
    threshold = schema["$defs"]["AlertSettings"]["properties"]["threshold"]
    assert threshold["description"] == "Matches within one deduplication window before an alert opens."
    assert threshold["default"] == 1
    settings = schema_of(Subject.TRAPLINE, load_plugins())
    assert settings["$defs"]["ScheduleSettings"]["properties"]["every"]["default"] == "5m"
