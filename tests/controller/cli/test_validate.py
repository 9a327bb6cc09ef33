"""`trapline validate` as an author runs it: on what is whole, what is half written, and what is not there at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.package_index import PackageIndex, only_index
from tests.playground import Playground
from trapline.cli import cli
from trapline.errors import TraplineError

BAD = 'def detect(record):\n    return record.deepget("event.action") == "bad"\n'


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


def validate(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["validate", str(path), *arguments], catch_exceptions=False)


def codes(path: Path, *arguments: str) -> list[str]:
    """Each problem as `file:line: code`."""
    found = json.loads(validate(path, *arguments, "--json").stdout)["problems"]
    return [f"{one['path']}:{one['line']}: {one['code']}" for one in found]


def test_all_is_said_at_once_in_the_order_of_the_files(ground: Playground) -> None:
    ground.settings(tables={"logs": {"path": "a"}, "aws_cloudtrail": {"path": "b"}})
    title = "def title(record):\n    return f\"{record.deepget('user.name')}\"\n"
    ground.detection(
        "one",
        f"{BAD}\n\n{title}",
        tables=["aws_cloudtrail"],
        reports={"attack": ["brute force", "t1086"]},
        query={"where": "event.acton = 'x'"},
        tests=[{"name": "a", "match": False, "records": [{"event": {"actoin": "x"}}]}],
    )
    ground.detection("two", "def detect(record):\n    return undefined\n", tables=["log"])
    said = validate(ground.repository)
    assert said.exit_code == 1
    assert said.stdout == "2 detections, 2 errors, 4 warnings\n"
    assert codes(ground.repository) == [
        "detections/one/detect.py:6: none-in-title",
        "detections/one/detection.yml:7: attack-format",
        "detections/one/detection.yml:8: retired-attack-id",
        "detections/one/detection.yml:10: unknown-column",
        "detections/one/detection.yml:16: unknown-column",
        "detections/two/detect.py:2: undefined-name",
    ]


def test_advice_alone_stops_nothing(ground: Playground) -> None:
    ground.detection("one", f'{BAD}\n\ndef dedupe(record):\n    return "all"\n')
    said = validate(ground.repository)
    assert said.exit_code == 0
    assert "[constant-dedupe]" in said.stderr
    with ground.controller() as controller:
        ground.commit()
        assert [outcome.action for outcome in controller.reconcile().outcomes] == ["deployed"]


def test_tables_are_looked_at_as_they_are(ground: Playground) -> None:
    ground.records(1)
    ground.detection("one", 'def detect(record):\n    return record.deepget("event.actoin") == "x"\n')
    ground.detection("two", BAD, query={"where": "event.acton = 'x'"})
    assert codes(ground.repository) == []
    said = validate(ground.repository, "--home", str(ground.home))
    assert said.exit_code == 1
    assert "`event` has no field `actoin` in the table logs [unknown-column]" in said.stderr
    assert "did you mean `action`?" in said.stderr
    assert said.stdout == "2 detections, 1 error, 1 warning\n"


def test_without_a_trapline_yml_a_condition_is_looked_at_too(ground: Playground) -> None:
    ground.detection("one", BAD, query={"where": "a = 1 or or b"}, tables=["anything"])
    (ground.repository / "trapline.yml").unlink()
    assert codes(ground.repository) == ["detections/one/detection.yml:6: invalid-where"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"detection.yml": "name: one\ntables: [logs]\n"}, ["detection.yml:0: no-script"]),
        ({"detect.py": BAD}, ["detect.py:0: no-config"]),
        ({"detection.yml": "", "detect.py": BAD}, ["detection.yml:0: empty"]),
        ({"detection.yml": "name: one\ntables: [logs]\n", "detect.py": ""}, ["detect.py:0: no-detect"]),
        ({"detection.yml": "name: [\n", "detect.py": BAD}, ["detection.yml:2: yaml-syntax"]),
        ({"detection.toml": 'name = "one\n', "detection.py": BAD}, ["detection.toml:1: toml-syntax"]),
        ({"detection.yaml": "name: one\n", "detect.py": BAD}, ["detection.yaml:0: config-name"]),
        ({"detection.yml": "name: one\ntables: [logs]\n", "detect.py": "\0\1\2"}, ["detect.py:0: python-syntax"]),
    ],
)
def test_a_detection_that_is_half_written(ground: Playground, files: dict[str, str], found: list[str]) -> None:
    for name, text in files.items():
        ground.write(f"detections/one/{name}", text)
    said = validate(ground.repository)
    assert (said.exit_code, said.stdout) == (1, "1 detection, 1 error, 0 warnings\n")
    assert codes(ground.repository) == [f"detections/one/{one}" for one in found]


@pytest.mark.parametrize("inside", ["", "notes", "notes/text.txt"])
def test_where_there_are_no_detections(tmp_path: Path, inside: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/text.txt").touch()
    with pytest.raises(TraplineError) as error:
        validate(tmp_path / inside)
    assert error.value.message == "there are no detections here"


def test_a_file_stands_for_its_detection(ground: Playground) -> None:
    ground.detection("one", "def detect(record): return undefined_name\n")
    ground.detection("two", "def detect(record): return undefined_name\n")
    assert codes(ground.repository / "detections/one/detect.py") == ["detections/one/detect.py:1: undefined-name"]


def test_shared_code_is_looked_at(ground: Playground) -> None:
    ground.write("lib/broken.py", "def shared(x)\n    return x\n")
    ground.write("lib/lonely.py", "import os\n\n\ndef unused():\n    return undefined\n")
    ground.detection("one", "from lib.broken import shared\n\n\ndef detect(record):\n    return shared(record)\n")
    broken = "lib/broken.py:1: python-syntax"
    lonely = ["lib/lonely.py:1: unused-import", "lib/lonely.py:5: undefined-name"]
    assert codes(ground.repository) == [broken, *lonely]
    assert codes(ground.repository / "lib") == [broken, *lonely]
    assert codes(ground.repository / "detections/one") == [broken]
    assert validate(ground.repository / "lib").stdout.startswith("0 detections, 2 errors")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The only index there is, with two versions of `leaf`."""
    with only_index(tmp_path, monkeypatch) as index:
        index.wheel("leaf", "1.0")
        index.wheel("leaf", "2.0")
        yield index


def test_requirements_are_resolved_where_that_is_asked_for(ground: Playground, index: PackageIndex) -> None:
    ground.detection("fine", BAD)
    ground.write("detections/fine/requirements.txt", "leaf<2\n")
    ground.detection("away", BAD)
    ground.write("detections/away/requirements.txt", "leaf\nno-such-thing-as-this\n")
    said = validate(ground.repository)
    assert said.exit_code == 0
    assert said.stdout.splitlines()[1] == "the requirements of 2 detections were not resolved: see --resolve"
    assert not index.asked
    said = validate(ground.repository, "--resolve", "--sandbox", "process")
    assert said.exit_code == 1
    assert "detections/away/requirements.txt:2: error: the requirements cannot be resolved" in said.stderr
    assert said.stdout == "2 detections, 1 error, 0 warnings\n"


def test_a_lock_must_be_what_the_requirements_come_to(ground: Playground, index: PackageIndex) -> None:
    ground.detection("one", BAD)
    ground.write("detections/one/requirements.txt", "leaf<2\n")
    lock = ["lock", "one", "--repository-folder", str(ground.repository), "--sandbox", "process"]
    assert CliRunner().invoke(cli, lock, catch_exceptions=False).exit_code == 0
    resolve = ("--resolve", "--sandbox", "process")
    assert validate(ground.repository, *resolve).stdout == "1 detection, 0 errors, 0 warnings\n"
    ground.write("detections/one/requirements.txt", "leaf>=2\n")
    assert codes(ground.repository) == []
    said = validate(ground.repository, *resolve)
    assert said.exit_code == 1
    assert "detections/one/requirements.lock: error: it is not what requirements.txt asks for" in said.stderr
    assert "it lacks leaf==2.0; it has leaf==1.0" in said.stderr
