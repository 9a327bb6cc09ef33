"""Problems in the words of those who show them beside the code: SARIF 2.1.0, annotations of GitHub's workflows, and
GitLab's report of code quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from trapline import __version__
from trapline.author.validation.meanings import meaning
from trapline.errors import Problem
from trapline.fingerprint import fingerprint

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """A log of one run, as code scanning takes it (SARIF 2.1.0). Paths are relative to the root of the checkout."""
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "trapline",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    results = [_result(problem, codes.index(problem.code)) for problem in problems]
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def github(problems: Iterable[Problem]) -> list[str]:
    """Workflow commands, a line each: a runner shows each problem at its line in the change."""
    return [_annotation(problem) for problem in problems]


def gitlab(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """A report of code quality: what is new in it is shown in the merge request, wherever it has moved to."""
    twins: Counter[tuple[str, ...]] = Counter()
    report = []
    for problem in problems:
        known_by = (problem.path, problem.code, problem.message)
        twins[known_by] += 1
        parts = (*known_by, str(twins[known_by]))
        report.append(
            {
                "check_name": problem.code,
                "description": _words(problem).replace("\n", " "),
                "fingerprint": fingerprint(*(part.encode(errors="replace") for part in parts)),
                "severity": "major" if problem.severity == "error" else "minor",
                "location": {"path": problem.path, "lines": {"begin": problem.line or 1}},
            }
        )
    return report


def _rule(code: str) -> dict[str, Any]:
    said = {"text": meaning(code)}
    return {"id": code, "shortDescription": {"text": code.replace("-", " ")}, "fullDescription": said, "help": said}


def _result(problem: Problem, rule: int) -> dict[str, Any]:
    region = {"startLine": problem.line or 1}  # a file as a whole: code scanning asks for a line
    if problem.column:
        region["startColumn"] = problem.column
    place = {"artifactLocation": {"uri": quote(problem.path)}, "region": region}
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": _words(problem)},
        "locations": [{"physicalLocation": place}],
    }


def _annotation(problem: Problem) -> str:
    places = {"file": problem.path, "line": problem.line, "col": problem.column, "title": problem.code}
    said = ",".join(f"{name}={_property(str(value))}" for name, value in places.items() if value)
    return f"::{problem.severity} {said}::{_data(_words(problem))}"


def _words(problem: Problem) -> str:
    return f"{problem.message}\n{problem.remedy}" if problem.remedy else problem.message


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
