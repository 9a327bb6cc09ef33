"""`trapline coverage` as an author runs it: as text, for programs and for the Navigator, with what is wrong said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.playground import Playground
from trapline.cli import cli
from trapline.errors import TraplineError


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


def coverage(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["coverage", str(path), *arguments], catch_exceptions=False)


def lines(said: Result) -> list[str]:
    return [line.rstrip() for line in said.stdout.splitlines()]


def test_what_is_covered_by_what(ground: Playground) -> None:
    ground.detection("guessing", reports={"attack": ["ta0006:t1110.001"]})
    ground.detection("spraying", reports={"attack": ["ta0006:t1110", "ta0006"]})
    ground.detection("later", reports={"attack": ["ta0006:t1110"]}, enabled=False)
    ground.detection("dumping", reports={"attack": ["t1003"]})
    ground.detection("silent")
    said = coverage(ground.repository)
    assert said.exit_code == 0
    first = lines(said).index("Credential Access (TA0006)  1 of 8 techniques, 1 other, by 3 detections")
    assert lines(said)[first + 1 : first + 9] == [
        "  no technique named",
        "             spraying",
        "  T1003      OS Credential Dumping",
        "             dumping",
        "  T1110      Brute Force",
        "             spraying, later (disabled)",
        "  T1110.001  Password Guessing",
        "             guessing",
    ]
    assert "Impact (TA0040)  0 of 9 techniques" in lines(said)
    assert lines(said)[-5:] == [
        "",
        "4 enabled detections, in 1 of 14 tactics",
        "1 of 58 techniques on IaaS covered, and 1 that ATT&CK has on other platforms alone (ATT&CK 18.1)",
        "without an id of ATT&CK: silent",
        "disabled, and not counted: later",
    ]


def test_on_a_terminal_no_name_is_cut(ground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    written = [f"a_detection_with_a_long_name_{number}" for number in range(4)]
    for name in written:
        ground.detection(name, reports={"attack": ["ta0005:t1562.008"]})
    monkeypatch.setattr("trapline.cli.output.console.width", 80)
    said = lines(coverage(ground.repository))
    first = said.index("  T1562.008  Disable or Modify Cloud Logs")
    assert said[first + 1 : first + 3] == [
        f"{' ' * 13}{written[0]}, {written[1]},",
        f"{' ' * 13}{written[2]}, {written[3]}",
    ]


def test_for_programs(ground: Playground) -> None:
    ground.detection("one", reports={"attack": ["t9999", "ta0006:t1110"]})
    said = coverage(ground.repository, "--json")
    found = json.loads(said.stdout)
    assert found["totals"]["covered"] == 1
    assert [(one["path"], one["line"], one["code"]) for one in found["problems"]] == [
        ("detections/one/detection.yml", 7, "unknown-attack-id")
    ]


def test_ids_that_are_none_are_said_at_their_line_and_fail(ground: Playground) -> None:
    ground.detection("one", reports={"attack": ["ta0006:t1110", "brute force"]})
    said = coverage(ground.repository)
    assert said.exit_code == 1
    assert "detections/one/detection.yml:8:5: error: `brute force` is no id of ATT&CK [attack-format]" in said.stderr
    assert "1 of 58 techniques on IaaS covered" in said.stdout


def test_ids_that_are_not_known_are_a_warning(ground: Playground) -> None:
    ground.detection("one", reports={"attack": ["t9999"]})
    said = coverage(ground.repository)
    assert said.exit_code == 0
    assert "warning: T9999 is no technique of ATT&CK" in said.stderr
    assert "without an id of ATT&CK: one" in said.stdout


def test_what_cannot_be_loaded_is_said_beside_the_rest(ground: Playground) -> None:
    ground.detection("well", reports={"attack": ["ta0006:t1110"]})
    ground.detection("broken", "def detect(record:\n", reports={"attack": ["ta0006:t1003"]})
    said = coverage(ground.repository)
    assert said.exit_code == 1
    assert "detections/broken/detect.py" in said.stderr
    assert "1 enabled detection, in 1 of 14 tactics" in said.stdout


def test_a_part_of_the_repository(ground: Playground) -> None:
    ground.detection("one", reports={"attack": ["t9999"]})
    ground.detection("two", reports={"attack": ["ta0006:t1110"]})
    said = coverage(ground.repository / "detections/two")
    assert (said.exit_code, said.stderr) == (0, "")
    assert "1 enabled detection, in 1 of 14 tactics" in said.stdout


def test_other_platforms_are_counted_where_asked(ground: Playground) -> None:
    ground.detection("one", reports={"attack": ["t1003"]})
    said = coverage(ground.repository, "--platform", "Windows", "--platform", "Linux")
    assert "techniques on Linux and Windows covered" in said.stdout
    assert "other platforms" not in said.stdout


def test_where_there_are_no_detections(ground: Playground) -> None:
    with pytest.raises(TraplineError, match="there are no detections here"):
        coverage(ground.repository)


def test_a_layer_in_a_file(ground: Playground, tmp_path: Path) -> None:
    ground.detection("one", reports={"attack": ["ta0006:t1110"]})
    said = coverage(ground.repository, "--navigator", str(tmp_path / "layer.json"))
    assert f"the layer is in {tmp_path / 'layer.json'}" in said.stdout
    assert "1 enabled detection" in said.stdout
    layer = json.loads((tmp_path / "layer.json").read_text())
    assert [one["techniqueID"] for one in layer["techniques"]] == ["T1110"]
    printed = coverage(ground.repository, "--navigator", "-")
    assert printed.stdout == (tmp_path / "layer.json").read_text()


def test_json_stays_json_beside_a_layer(ground: Playground, tmp_path: Path) -> None:
    ground.detection("one", reports={"attack": ["ta0006:t1110"]})
    said = coverage(ground.repository, "--json", "--navigator", str(tmp_path / "layer.json"))
    assert json.loads(said.stdout)["totals"]["covered"] == 1
    assert (tmp_path / "layer.json").exists()
    both = coverage(ground.repository, "--json", "--navigator", "-")
    assert both.exit_code == 2


def test_a_layer_that_cannot_be_written(ground: Playground) -> None:
    ground.detection("one")
    with pytest.raises(TraplineError, match="cannot be written") as error:
        coverage(ground.repository, "--navigator", "/nowhere/layer.json")
    assert "--navigator" in error.value.remedy


def test_what_a_pack_brings_counts_where_it_is_used(
    ground: Playground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    theirs = Playground(tmp_path / "theirs")
    for name in ("used", "unused"):
        theirs.detection(name, reports={"attack": ["ta0006:t1110"]})
    pack = {"source": str(theirs.repository), "revision": theirs.commit(), "enable": ["used"]}
    ground.settings(packs={"acme": pack})
    said = coverage(ground.repository)
    assert said.exit_code == 0
    assert "             acme/used" in lines(said)
    assert "unused" not in said.stdout
    ground.settings(packs={"acme": {**pack, "enable": ["used", "unsued"]}})
    said = coverage(ground.repository)
    assert said.exit_code == 1
    assert "the pack has no detection `unsued`" in said.output
