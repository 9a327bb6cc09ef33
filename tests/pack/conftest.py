"""The official pack, loaded in this process, and records by which to try it."""

import json
import os
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from uv import find_uv_bin

from trapline.detection.model import DetectionConfig
from trapline.tables.cloudtrail import SCHEMA
from trapline.workers.wire import batch_frame
from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import PREFIX_BYTES
from trapline_sandbox.rule import Rule
from trapline_sandbox.watch import Watch

PROJECT = Path(__file__).parents[2]
PACK = PROJECT / "detections"
_WATCH = Watch(60, 60)


@dataclass(frozen=True)
class Loaded:
    """One detection of the pack: its config, and its script as a worker runs it."""

    config: DetectionConfig
    script: Rule

    def matches(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What is said of each match, with its record. A script that raises anything fails the test."""
        head, *buffers = batch_frame(pa.RecordBatch.from_pylist(list(records), schema=SCHEMA), 0)
        fields = Fields(json.loads(bytes(head[PREFIX_BYTES:]))["batch"], buffers)
        verdicts = self.script.run(fields, max_matches=len(records), max_failures=0)
        assert verdicts.complete
        return [
            match | {"record": records[match["row"]], "severity": match["severity"] or self.config.alert.severity}
            for match in verdicts.matches
        ]


@pytest.fixture(scope="session")
def real_deliveries() -> Path:
    folder = Path(os.environ.get("TRAPLINE_CLOUDTRAIL", PROJECT.parent / "shared" / "data" / "cloudtrail"))
    if not folder.is_dir():
        pytest.skip(f"no real CloudTrail deliveries at {folder}; set TRAPLINE_CLOUDTRAIL to a folder of them")
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for a `rule` once for each detection of the pack."""
    if "rule" in metafunc.fixturenames:
        folders = sorted(path for path in PACK.iterdir() if path.is_dir())
        marked = [
            pytest.param(
                folder, id=folder.name, marks=[pytest.mark.network] if (folder / "requirements.txt").exists() else []
            )
            for folder in folders
        ]
        metafunc.parametrize("rule", marked, indirect=True, scope="session")


@pytest.fixture(scope="session")
def rule(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterable[Loaded]:
    folder: Path = request.param
    site = tmp_path_factory.mktemp("site")
    if (folder / "requirements.txt").exists():
        command = [find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(site)]
        subprocess.run([*command, "--only-binary", ":all:", "-r", str(folder / "requirements.txt")], check=True)
    sys.path.insert(0, str(site))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a library's own: a data file it leaves to be closed
        loaded = load(folder)
    yield loaded
    sys.path.remove(str(site))


def load(folder: Path) -> Loaded:
    if (folder / "detection.toml").exists():
        config = tomllib.loads((folder / "detection.toml").read_text())
        return Loaded(DetectionConfig.model_validate(config), Rule(folder, "detection.py", "batch", watch=_WATCH))
    config = yaml.safe_load((folder / "detection.yml").read_text())
    return Loaded(DetectionConfig.model_validate(config), Rule(folder, "detect.py", "record", watch=_WATCH))
