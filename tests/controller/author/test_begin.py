"""`trapline new`: what it writes is taken without a word, and its test fails until somebody fills it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.playground import Playground
from trapline.cli import cli
from trapline.controller import Controller
from trapline.errors import TraplineError


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def new(ground: Playground, *arguments: str) -> Result:
    command = ["new", *arguments, "--repository", str(ground.repository)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def refused(ground: Playground, *arguments: str) -> TraplineError:
    with pytest.raises(TraplineError) as error:
        new(ground, *arguments)
    return error.value


@pytest.mark.parametrize("shape", ["yml", "toml"])
def test_it_is_taken_without_a_word(ground: Playground, shape: str) -> None:
    said = new(ground, "odd_login", "--format", shape, "--severity", "high", "--attack", "TA0001:T1078.004").stdout
    script, config, _ = said.splitlines()
    assert script.endswith("detections/odd_login/" + ("detect.py" if shape == "yml" else "detection.py"))
    text = (ground.repository / "detections/odd_login" / f"detection.{shape}").read_text()
    assert '"ta0001:t1078.004"' in text
    assert config.endswith(f"detection.{shape}")
    checked = CliRunner().invoke(cli, ["validate", str(ground.repository)])
    assert checked.output == "1 detection, 0 errors, 0 warnings\n"


@pytest.mark.parametrize("shape", ["yml", "toml"])
def test_its_test_fails_until_it_is_filled_in(ground: Playground, controller: Controller, shape: str) -> None:
    new(ground, "odd_login", "--format", shape)
    ground.commit()
    [outcome] = controller.reconcile().outcomes
    assert outcome.action == "stalled"
    assert "it is found" in outcome.message
    script = next((ground.repository / "detections/odd_login").glob("*.py"))
    wanted = 'record.deepget("event.action") == "FillMeIn"'
    for placeholder in ("return False", "found = False"):
        script.write_text(script.read_text().replace(placeholder, placeholder.replace("False", wanted)))
    ground.commit()
    [outcome] = controller.reconcile().outcomes
    assert outcome.action == "deployed"


def test_the_only_table_need_not_be_named(ground: Playground) -> None:
    new(ground, "odd_login")
    assert "  - logs\n" in (ground.repository / "detections/odd_login/detection.yml").read_text()


def test_of_several_one_is_named(ground: Playground) -> None:
    ground.settings(tables={"logs": {"path": "a"}, "flows": {"path": "b"}})
    error = refused(ground, "odd_login")
    assert error.remedy == "name one with --table: flows, logs"
    assert refused(ground, "odd_login", "--table", "flow").remedy == "did you mean `flows`?"
    assert new(ground, "odd_login", "--table", "flows").exit_code == 0


def test_nothing_is_overwritten(ground: Playground) -> None:
    new(ground, "odd_login")
    assert "there is a detection of that name already: detections/odd_login" in refused(ground, "odd_login").message
    (ground.repository / "detections/other").mkdir()
    assert "is there already, and nothing is overwritten" in refused(ground, "other").message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["../escape"], "'../escape' is no name for a detection"),
        (["trapline"], "is kept for the alerts about Trapline itself"),
        (["a b"], "is no name for a detection"),
        (["one", "--attack", "brute force"], "`brute force` is no id of ATT&CK"),
        (["one", "--attack", "ta0001:t1110"], "is not of the tactic TA0001"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(ground: Playground, arguments: list[str], said: str) -> None:
    assert said in refused(ground, *arguments).message
    assert not (ground.repository / "detections").exists()


def test_without_a_trapline_yml_any_table_will_do(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["new", "one", "--table", "events", "--repository", str(tmp_path)])
    assert said.exit_code == 0
    assert (tmp_path / "detections/one/detect.py").exists()
