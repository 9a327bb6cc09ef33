"""A detection in memory, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml

from trapline.author.validation.advice import advise
from trapline.author.validation.advice.schemas import Schemas
from trapline.config.files import File
from trapline.detection.load import load
from trapline.errors import Problem
from trapline.settings import Settings

Said = Callable[..., list[Problem]]


@pytest.fixture
def said() -> Said:
    """`said(script, threshold=3)`: the advice on a detection, by its line; `schemas` are those of its tables, `lib` is
    what lib/shared.py says."""

    def said(
        script: str, *, batch: bool = False, schemas: Schemas | None = None, lib: str = "", **config: object
    ) -> list[Problem]:
        named = {"name": "one", "tables": ["logs"], **config}
        files = {"detection.yml": yaml.safe_dump(named), "detect.py": script}
        if batch:
            more = "".join(f"\n{key} = {json.dumps(value)}" for key, value in config.items())
            files = {"detection.toml": f'name = "one"\ntables = ["logs"]{more}', "detection.py": script}
        paths = {f"detections/one/{name}": text for name, text in files.items()} | {"lib/shared.py": lib}
        loaded = load({path: File(content=text.encode()) for path, text in paths.items()})
        [detection] = loaded.detections
        return sorted(advise(detection, schemas or Schemas(Settings())), key=lambda one: (one.line, one.column))

    return said
