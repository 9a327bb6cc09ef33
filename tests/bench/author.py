"""An author's loop: the tests of rules as a user runs them, against importing the rules and calling them bare."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.detections import make_files
from tests.bench.measure import Result, Way, timed

COUNT = 500
CASES = 3

# No sandbox, no build, no check of anything: what nobody could do without.
_BARE = """
import importlib.util, sys, tomllib, yaml
from pathlib import Path

class Record(dict):
    def deepget(self, path, default=None):
        value = self
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else value

loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
for folder in map(Path, sys.argv[1:]):
    [script] = folder.glob("*.py")
    spec = importlib.util.spec_from_file_location(folder.name, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one = script.name == "detect.py"
    text = (folder / ("detection.yml" if one else "detection.toml")).read_text()
    for case in (yaml.load(text, loader) if one else tomllib.loads(text))["tests"]:
        records = [Record(record) for record in case["records"]]
        found = [record for record in records if module.detect(record)] if one else list(module.detect(records))
        assert bool(found) == bool(case["match"]), (folder, case["name"])
"""


def measure_tests(*, quick: bool) -> list[Result]:
    """The whole command, its start included, with the process backend."""
    count = 10 if quick else COUNT
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "repository")
        _write(root, count)
        folders = sorted(str(path) for path in (root / "detections").iterdir())
        environment = {**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # who installs it has it compiled

        def bare(some: Sequence[str]) -> None:
            subprocess.run([sys.executable, "-c", _BARE, *some], check=True, env=environment)

        def command(path: str | Path) -> None:
            arguments = [sys.executable, "-m", "trapline", "test", "--sandbox", "process", str(path)]
            subprocess.run(arguments, check=True, env=environment, stdout=subprocess.DEVNULL)

        def forget() -> None:
            shutil.rmtree(f"{folder}/cache", ignore_errors=True)

        what = f"trapline test of {count}"
        many = [
            Way(what=f"import {count} and call them bare", count=count, work=lambda: bare(folders), letter="A"),
            Way(what=f"{what}, nothing built yet", count=count, before=forget, work=lambda: command(root), against="A"),
            Way(what=f"{what}, again", count=count, work=lambda: command(root), against="A", aim="10 s"),
        ]
        one = [
            Way(what="import one and call it bare", work=lambda: bare(folders[:1]), letter="A"),
            Way(
                what=f"trapline test of one of {count}, again",
                work=lambda: command(folders[0]),
                against="A",
                aim="0.5 s",
            ),
        ]
        runs = 1 if quick else 5
        return [
            Result(f"The tests of {count} detections, {CASES} cases each", "detections", timed(many, runs=runs)),
            Result(f"The tests of one detection, {CASES} cases", "", timed(one, runs=runs)),
        ]


def _write(root: Path, count: int) -> None:
    for path, file in make_files(count).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
    (root / "trapline.yml").write_text("tables:\n  events: {path: lake/events}\n")
