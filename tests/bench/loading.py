"""Loading a repository of detections: parsed, checked and linted, against parsing its files and nothing more."""

from __future__ import annotations

import ast
import tomllib

import yaml

from tests.bench.detections import make_files
from tests.bench.measure import Result, Way, timed
from trapline.config.files import File
from trapline.detection import lint, parse
from trapline.detection.load import load

COUNT = 1_000
BUDGET_SECONDS = 2.0
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def measure(*, quick: bool) -> Result:
    """1,000 detection directories in memory, half of them in each format, each with three tests."""
    count = COUNT // 5 if quick else COUNT
    files = make_files(count)
    assert len(load(files).detections) == count
    ways = [
        Way(
            what="YAML, TOML and ast.parse of the same files only",
            count=count,
            work=lambda: _parse_only(files),
            letter="A",
        ),
        Way(
            what="detection.load, nothing known yet", count=count, work=lambda: load(files), before=forget, against="A"
        ),
        Way(what="detection.load, the same files again", count=count, work=lambda: load(files), against="A"),
    ]
    result = timed(ways, runs=1 if quick else 3)
    return Result(
        "Loading detections",
        "detections",
        result,
        note=f"The budget for 1,000 is {BUDGET_SECONDS:g} s; at this rate they take {1_000 / result[1].rate:.2f} s.",
    )


def _parse_only(files: dict[str, File]) -> None:
    for path, file in files.items():
        text = file.content.decode()
        if path.endswith(".yml"):
            yaml.load(text, Loader=_YAML)
        elif path.endswith(".toml"):
            tomllib.loads(text)
        else:
            ast.parse(text)


def forget() -> None:
    """Empties what a controller keeps between two revisions."""
    for module in (lint, parse):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
