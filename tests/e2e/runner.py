"""A runner of GitHub's workflows for tests: the steps of a composite action, in bash, with what a runner hands them.

It knows as much of the expression language as action.yml uses, and refuses the rest. Steps that use other actions (to
check out, to set Python up, to upload) are passed over, and so are those that a test names: here, the installing.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
"""How a runner starts bash."""


@dataclass
class Step:
    """How a step ended, what it printed, and its outputs."""

    outcome: str
    printed: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Runner:
    """Runs an action in a workspace; `files` is for what a step writes to its runner."""

    action: Path
    workspace: Path
    files: Path
    environment: Mapping[str, str]
    event: Mapping[str, Any]
    replaced: Collection[str] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)

    def run(self, **inputs: str) -> dict[str, Step]:
        """Every step that ran, by its id or else its name."""
        action = yaml.safe_load(self.action.read_text())
        unknown = inputs.keys() - action["inputs"].keys()
        assert not unknown, f"the action has no input {unknown}"
        defaults = {name: self._filled(one.get("default", "")) for name, one in action["inputs"].items()}
        self.inputs, self.steps = defaults | inputs, {}
        for step in action["runs"]["steps"]:
            name = step.get("id", step["name"])
            if not self._wanted(step):
                self.steps[name] = Step("skipped")
            elif "uses" in step or name in self.replaced:
                self.steps[name] = Step("success")
            else:
                self.steps[name] = self._run(step)
        return self.steps

    @property
    def failed(self) -> list[str]:
        return [name for name, step in self.steps.items() if step.outcome == "failure"]

    def _wanted(self, step: Mapping[str, Any]) -> bool:
        if "if" not in step:
            return not self.failed
        terms = _EXPRESSION.fullmatch(step["if"])
        assert terms, f"an `if` that is no expression: {step['if']}"
        return all(self._holds(term.strip()) for term in terms[1].split("&&"))

    def _holds(self, term: str) -> bool:
        if term == "!cancelled()":
            return True
        found = re.fullmatch(r"(\S+)(?: (==|!=) (\S+))?", term)
        assert found, f"the runner of the tests does not understand {term}"
        left, sign, right = found.groups()
        value = self._value(left)
        return bool(value) if sign is None else (value == self._value(right)) == (sign == "==")

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: str(self._value(found[1].strip()) or ""), str(text))

    def _value(self, name: str) -> Any:
        match name.split("."):
            case [text] if text[0] == text[-1] == "'":
                return text[1:-1]
            case ["inputs", key]:
                return self.inputs[key]
            case ["steps", step, "outputs", key]:
                return self.steps[step].outputs.get(key, "")
            case ["steps", step, "outcome" | "conclusion"]:
                return self.steps[step].outcome
            case ["github", "token"]:
                return self.environment["GITHUB_TOKEN"]
            case ["github", "event", *path]:
                value: Any = self.event
                for part in path:
                    value = (value or {}).get(part)
                return value
        raise AssertionError(f"the runner of the tests does not know {name}")

    def _run(self, step: Mapping[str, Any]) -> Step:
        assert "${{" not in step["run"], "what a stranger may have written would be run by the shell"
        script, output = self.files / "script.sh", self.files / "output"
        script.write_text(step["run"])
        output.write_text("")
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=self.workspace / self._filled(step.get("working-directory", ".")),
            env={name: value for name, value in self.environment.items() if name != "GITHUB_TOKEN"}
            | {name: self._filled(value) for name, value in step.get("env", {}).items()}
            | {"GITHUB_OUTPUT": str(output)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return Step("failure" if done.returncode else "success", done.stdout, outputs)
