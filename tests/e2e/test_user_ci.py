"""The checks of a repository of detections, as its users have them: the example is copied, changed on a branch, and the
very commands of its workflow, of the action, of the GitLab template and of the hooks are run.

Passed over are the steps that use other actions (checking out, Python, uploads) and those that install Trapline: the
`trapline` of this environment is on PATH instead.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import git
import pytest
import yaml

from tests.e2e.conftest import environment
from tests.e2e.runner import BASH, Runner
from tests.forge import TOKEN, Forge, forge

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/detections-repo"
RULE = "detections/console_login_failures/detect.py"
CONFIG = "detections/console_login_failures/detection.yml"
QUICK = ("install", "validate", "Test", "Plan")
"""What is passed over where a test is about what comes after it."""


@dataclass
class Work:
    """A clone of the example with a branch `change`, and the environment of a job."""

    clone: Path
    environment: dict[str, str]
    there: Forge

    def change(self, path: str, old: str, new: str) -> None:
        """Changes a file on the branch, and commits."""
        file = self.clone / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        git.Repo(self.clone).git.commit("-qam", f"Change {path}")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    upstream, clone, path = tmp_path / "upstream", tmp_path / "clone", tmp_path / "bin"
    shutil.copytree(EXAMPLE, upstream)
    origin = git.Repo.init(upstream, initial_branch="main")
    with origin.config_writer() as config:
        config.set_value("user", "name", "Test").set_value("user", "email", "test@example.com")
    origin.git.add(all=True)
    origin.git.commit("-qm", "Begin")
    copy = origin.clone(str(clone))
    with copy.config_writer() as config:
        config.set_value("user", "name", "Test").set_value("user", "email", "test@example.com")
    copy.git.checkout("-qb", "change")
    path.mkdir()
    command = path / "trapline"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m trapline "$@"\n')
    command.chmod(0o755)
    ours = {name: value for name, value in environment().items() if not name.startswith(("GITHUB_", "CI_", "GITLAB_"))}
    with forge() as there:
        yield Work(
            clone, ours | {"PATH": f"{path}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}, there
        )


@pytest.fixture
def runner(work: Work, tmp_path: Path) -> Runner:
    """A job of the example's workflow for a pull request of the branch."""
    event = {"pull_request": {"number": 7}}
    files = tmp_path / "runner"
    files.mkdir()
    (files / "event.json").write_text(json.dumps(event))
    of_a_runner = {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_API_URL": work.there.url,
        "GITHUB_BASE_REF": "main",
        "GITHUB_EVENT_PATH": str(files / "event.json"),
        "GITHUB_PATH": str(files / "path"),
        "GITHUB_REPOSITORY": "acme/detections",
        "GITHUB_STEP_SUMMARY": str(files / "summary.md"),
        "GITHUB_TOKEN": TOKEN,
        "RUNNER_TEMP": str(files),
    }
    return Runner(ROOT / "action.yml", work.clone, files, work.environment | of_a_runner, event, replaced=["install"])


def check(runner: Runner, **inputs: str) -> None:
    """Runs the job: the action as the workflow uses it, in the sandbox that every machine has."""
    [job] = yaml.safe_load((EXAMPLE / ".github/workflows/detections.yml").read_text())["jobs"].values()
    [ours] = [step for step in job["steps"] if step["uses"].startswith("your-organisation/trapline@")]
    runner.run(**{**ours["with"], "sandbox": "process", **inputs})


def printed(runner: Runner) -> str:
    return "\n".join(f"{name}: {step.outcome}\n{step.printed}" for name, step in runner.steps.items())


def test_a_change_that_loses_an_alert_is_stopped_told_and_corrected(work: Work, runner: Runner) -> None:
    work.change(CONFIG, "threshold: 5", "threshold: 50")
    check(runner)
    assert runner.failed == ["compare"], printed(runner)
    assert "~ reconfigure console_login_failures" in runner.steps["Plan"].printed
    sentence = "console_login_failures: 1 alert is removed (--fail-on removed)"
    assert f"gate: {sentence}" in runner.steps["compare"].printed
    [report] = work.there.comments.values()
    assert f"- `{sentence}`" in report
    assert "Failed console logins from 198.51.100.23" in report
    summary = (runner.files / "summary.md").read_text()
    assert summary.endswith(report)
    assert "\n      ~ reconfigure console_login_failures" in summary
    suites = ET.parse(runner.steps["setup"].outputs["junit"]).getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("8", "0")

    work.change(CONFIG, "threshold: 50", "threshold: 4")
    check(runner)
    assert runner.failed == [], printed(runner)
    [report] = work.there.comments.values()  # in the place of the one before
    assert sentence not in report
    assert "| `console_login_failures` | changed | 1 | 1 |" in report


def test_code_that_two_detections_share_is_compared_in_both(work: Work, runner: Runner) -> None:
    work.change("lib/aws.py", '"event.outcome") == "success"', '"event.outcome") == "nothing"')
    check(runner)
    assert runner.failed == ["Test", "compare"], printed(runner)
    [report] = work.there.comments.values()
    for name in ("access_key_for_somebody_else", "secrets_read_in_a_burst"):
        assert f"| `{name}` | changed, **broken** | 1 | 0 |" in report
    assert "FAILED detections/secrets_read_in_a_burst/detection.toml" in runner.steps["Test"].printed


def test_a_broken_detection_is_shown_at_its_line_and_the_other_steps_run(work: Work, runner: Runner) -> None:
    work.change(RULE, "def detect(record):", "def detect(record)")
    check(runner, sarif="true")
    assert runner.failed == ["validate", "Test", "Plan", "compare"], printed(runner)
    assert re.search(rf"^::error file={RULE},line=4,", runner.steps["validate"].printed, re.MULTILINE)
    log = json.loads((runner.files / "trapline.sarif").read_text())
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["python-syntax"]
    assert "**It cannot be merged as it is:**" in next(iter(work.there.comments.values()))


def test_without_the_right_to_comment_the_report_is_in_the_summary(work: Work, runner: Runner) -> None:
    """As for a pull request from a fork."""
    work.there.may_write = False
    runner.replaced = QUICK
    check(runner)
    assert runner.failed == []
    assert "::warning title=trapline::the report is in the summary of this job alone" in runner.steps["Comment"].printed
    assert (runner.files / "summary.md").read_text().startswith("<!-- trapline diff: . -->")


def test_after_a_merge_there_is_nothing_to_compare_with(runner: Runner) -> None:
    runner.replaced = QUICK
    runner.environment = {**runner.environment, "GITHUB_BASE_REF": ""}
    check(runner)
    assert runner.failed == []
    assert [runner.steps[name].outcome for name in ("Plan", "compare", "Comment")] == ["skipped"] * 3


def test_a_base_that_was_not_fetched_is_told(work: Work, runner: Runner) -> None:
    runner.replaced = QUICK
    check(runner, base="origin/release")
    assert runner.failed == ["compare"], printed(runner)
    assert "did you fetch it? `git fetch origin release`" in runner.steps["compare"].printed
    assert work.there.comments == {}


def test_no_branch_name_is_run_by_the_shell(work: Work, runner: Runner) -> None:
    runner.replaced = ("install", "validate", "Test")
    check(runner, base="main$(touch hacked)", until="`touch hacked`", **{"fail-on": "$(touch hacked)"})
    assert runner.failed == ["Plan", "compare"]
    assert not (work.clone / "hacked").exists()


def test_the_steps_of_gitlab(work: Work) -> None:
    """Of the example and of the template that it includes, with what a runner of GitLab sets."""
    work.change(CONFIG, "threshold: 5", "threshold: 50")
    done = gitlab(work, GITLAB_TOKEN=TOKEN)
    assert done.returncode == 1, done.stdout
    assert "gate: console_login_failures: 1 alert is removed" in done.stdout
    [note] = work.there.comments.values()
    assert note == (work.clone / "trapline-report.md").read_text()
    assert json.loads((work.clone / "trapline-quality.json").read_text()) == []
    assert ET.parse(work.clone / "trapline-tests.xml").getroot().get("failures") == "0"


def test_a_job_of_gitlab_for_a_branch_compares_nothing(work: Work) -> None:
    done = gitlab(work, CI_MERGE_REQUEST_IID="")
    assert (done.returncode, "8 of 8 cases" in done.stdout) == (0, False)
    assert work.there.comments == {}


def gitlab(work: Work, **more: str) -> subprocess.CompletedProcess[str]:
    template: dict[str, Any] = yaml.safe_load((ROOT / "ci/gitlab.yml").read_text())
    example = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())
    assert [one["file"] for one in example["include"]] == ["ci/gitlab.yml"]
    variables = {**template["variables"], **example["variables"], "TRAPLINE_SANDBOX": "process"}
    of_a_job = {
        "CI_API_V4_URL": work.there.url,
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_PROJECT_DIR": str(work.clone),
        "CI_PROJECT_ID": "42",
    }
    return subprocess.run(
        [*BASH, "-c", "\n".join(template["trapline"]["script"])],
        cwd=work.clone,
        env={**work.environment, **variables, **of_a_job, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


def test_the_hooks_before_a_commit(work: Work) -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    [repository] = yaml.safe_load((EXAMPLE / ".pre-commit-config.yaml").read_text())["repos"]
    used = [hooks[hook["id"]] for hook in repository["hooks"]]
    assert all(re.search(hook["files"], RULE) and not re.search(hook["files"], "README.md") for hook in used)

    def run() -> list[int]:
        env = {**work.environment, "TRAPLINE_SANDBOX": "process"}
        return [
            subprocess.run(shlex.split(hook["entry"]), cwd=work.clone, env=env, capture_output=True).returncode
            for hook in used
        ]

    assert run() == [0, 0]
    work.change(RULE, '== "failure"', '== "success"')
    assert run() == [0, 1]


def test_the_commands_of_its_readme(work: Work) -> None:
    text = (EXAMPLE / "README.md").read_text().partition("```sh\n")[2].partition("```")[0]
    env = {**work.environment, "TRAPLINE_SANDBOX": "process"}
    codes = []
    for line in text.splitlines():
        command = shlex.split(line, comments=True)
        codes.append(subprocess.run(command, cwd=work.clone, env=env, capture_output=True).returncode)
    # What `new` begins fails its test until it is filled in: it is new in the plan, and cannot be merged.
    assert codes == [0, 0, 0, 1, 3, 1]


def test_every_action_is_pinned_to_a_full_version() -> None:
    used = re.findall(r"uses: (\S+)", (ROOT / "action.yml").read_text())
    used += re.findall(r"uses: (\S+)", (EXAMPLE / ".github/workflows/detections.yml").read_text())
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w./-]+@v\d+\.\d+\.\d+", one)] == []
