"""The official pack, loaded in this process, and records by which to try it."""

import importlib.util
import os
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from uv import find_uv_bin

from trapline.detection.model import DetectionConfig

PROJECT = Path(__file__).parents[3]
PACK = PROJECT / "detections"


class Row(dict[str, Any]):
    """A stand-in for the sandbox's record: a dict with `deepget`."""

    def deepget(self, path: str, default: Any = None) -> Any:
        value: Any = self
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return default if value is None else value


@dataclass(frozen=True)
class Rule:
    """One detection of the pack: its config and its script."""

    config: DetectionConfig
    script: ModuleType

    @property
    def is_batch(self) -> bool:
        return self.script.__name__ == "detection"

    def matches(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Each match as its alert fields: title, dedupe, severity, context, and the record itself."""
        rows = [Row(record) for record in records]
        if self.is_batch:
            return [{"severity": self.config.alert.severity} | found for found in self.script.detect(rows)]
        return [self._fields(row) for row in rows if self.script.detect(row)]

    def _fields(self, row: Row) -> dict[str, Any]:
        script = vars(self.script)
        return {
            "record": row,
            "title": script["title"](row),
            "dedupe": script["dedupe"](row),
            "severity": script["severity"](row) if "severity" in script else self.config.alert.severity,
            "context": script["alert_context"](row),
        }


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
def rule(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterable[Rule]:
    folder: Path = request.param
    site = tmp_path_factory.mktemp("site")
    if (folder / "requirements.txt").exists():
        command = [find_uv_bin(), "pip", "install", "--quiet", "--target", str(site), "--only-binary", ":all:"]
        subprocess.run([*command, "-r", str(folder / "requirements.txt")], check=True)
    sys.path.insert(0, str(site))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a library's own: a data file it leaves to be closed
        loaded = load(folder)
    yield loaded
    sys.path.remove(str(site))


def load(folder: Path) -> Rule:
    if (folder / "detection.toml").exists():
        config = tomllib.loads((folder / "detection.toml").read_text())
        path = folder / "detection.py"
    else:
        config = yaml.safe_load((folder / "detection.yml").read_text())
        path = folder / "detect.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return Rule(DetectionConfig.model_validate(config), script)
