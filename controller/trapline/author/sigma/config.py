"""The config of a detection, as somebody would have written it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from trapline.author.sigma.about import About
from trapline.author.sigma.examples import Examples

_WIDTH = 118
_DATES = "%Y/%m/%d"


class _Inline(dict[str, Any]):
    """A mapping that is written in one line."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists stand in from their key."""
        super().increase_indent(flow, False)


def _inline(dumper: _Dumper, value: _Inline) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    """What has several lines keeps them; what is long is folded."""
    style = None
    if "\n" in value:
        style = "|"
    elif len(value) > _WIDTH - 20 and " " in value:
        style = ">"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(_Inline, _inline)
_Dumper.add_representer(str, _text)


def config(about: About, *, name: str, table: str, examples: Examples | None) -> str:
    """The text of detection.yml."""
    said: dict[str, Any] = {
        "id": about.id,
        "name": name,
        "display_name": about.title,
        "description": about.description,
        "enabled": about.is_enabled,
        "created": about.created and about.created.strftime(_DATES),
        "modified": about.modified and about.modified.strftime(_DATES),
        "references": list(about.references),
        "false_positives": list(about.false_positives),
        "reports": {"attack": list(about.attack)} if about.attack else None,
        "alert": {"severity": about.severity.value},
        "tables": [table],
        "tags": list(about.tags),
        "tests": _tests(examples) if examples else None,
    }
    kept = {key: value for key, value in said.items() if value not in (None, "", [])}
    body = yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "".join(f"{line}\n" for line in _head(about)) + body


def _head(about: About) -> list[str]:
    """Where it is from, and whose it is: comments, for no key of a detection says so."""
    lines = [f"Made from the Sigma rule {about.id or about.title} by `trapline import sigma`."]
    lines += [f"Author: {about.author}"] if about.author else []
    lines += [f"License: {about.license}"] if about.license else []
    lines += [f"Status: {about.status}"] if about.status else []
    return [
        wrapped
        for line in lines
        for wrapped in textwrap.wrap(line, _WIDTH, initial_indent="# ", subsequent_indent="#   ")
    ]


def _tests(examples: Examples) -> list[dict[str, Any]]:
    return [
        {"name": "what the rule looks for", "match": True, "records": [_shown(examples.match)]},
        {"name": f"another {examples.changed}", "match": False, "records": [_shown(examples.other)]},
    ]


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record, each part of it in one line."""
    return {key: _flat(value) if isinstance(value, dict) else value for key, value in record.items()}


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return _Inline({key: _flat(inner) for key, inner in value.items()})
    return [_flat(inner) for inner in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
