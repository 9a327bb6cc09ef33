"""What cannot be said exactly is not converted: each reason with its line and what to do."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.controller.author.sigma.ground import converted, rule
from trapline.author.sigma.documents import read_rules, rule_files
from trapline.errors import Problem, TraplineError

BOMB = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)
)
SELECTION = {"eventName": "CreateUser"}


def refusal(text: str) -> Problem:
    found, [problem] = converted(text)
    assert found is None
    assert problem.severity == "error"
    assert problem.line
    assert problem.remedy
    return problem


def refused_line(line: dict[str, Any]) -> Problem:
    problem = refusal(rule({"selection": line, "condition": "selection"}))
    assert problem.line == 7
    return problem


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ({"|contains": "x"}, "sigma-keywords", "words anywhere"),
        ({"eventNme": "x"}, "sigma-field", "CloudTrail has no field `eventNme`"),
        ({"userIdentity.typ": "x"}, "sigma-field", "CloudTrail has no field `userIdentity.typ`"),
        ({"userIdentity.type.x": "x"}, "sigma-field", "CloudTrail has no field `userIdentity.type.x`"),
        ({"eventName.x": "x"}, "sigma-field", "CloudTrail has no field `eventName.x`"),
        ({"userIdentity": "x"}, "sigma-field", "`userIdentity` is an object"),
        ({"resources": "x"}, "sigma-field", "CloudTrail has no field `resources`"),
        ({"requestParameters.items{}.id": "x"}, "sigma-field", "is no way through an object"),
        ({"eventName|sounds": "x"}, "sigma-value", "Unknown modifier 'sounds'"),
        ({"eventName|re": "(a"}, "sigma-value", "Regular expression '(a' is invalid"),
        ({"eventName|re": "[[:alpha:]]"}, "sigma-value", "Possible nested set"),
        ({"eventName|re": 5}, "sigma-value", "is no text"),
        ({"eventName|re|startswith": "a"}, "sigma-modifier", "`re` stands with startswith or endswith"),
        ({"eventName|expand": "%users%"}, "sigma-modifier", "%users% stands for values"),
        ({"eventName|re|expand": "^%users%$"}, "sigma-modifier", "%users% stands for values"),
        ({"eventTime|hour": 5}, "sigma-modifier", "look into a time"),
        ({"eventName|contains": 5}, "sigma-value", "incompatible"),
        ({"eventName|lt": "x"}, "sigma-value", "incompatible"),
        ({"sourceIPAddress|cidr": "10.0.0.1/8"}, "sigma-value", "Invalid CIDR"),
        ({"eventName|base64": "a*"}, "sigma-value", "wildcards"),
        ({"eventName|wide": "\u00e9"}, "sigma-value", "ascii"),
        ({"eventName|fieldref": "nothing"}, "sigma-field", "CloudTrail has no field `nothing`"),
        ({"eventName|exists": "yes"}, "sigma-value", "incompatible"),
        ({"eventName": {"a": 1}}, "sigma-value", "is a mapping"),
        ({"eventName": [["a"]]}, "sigma-value", "is a list"),
    ],
    ids=str,
)
def test_lines(line: dict[str, Any], code: str, message: str) -> None:
    problem = refused_line(line)
    assert problem.code == code
    assert message in problem.message


def test_a_date_is_no_text() -> None:
    text = rule({"selection": SELECTION, "condition": "selection"}).replace("CreateUser", "2026-01-01")
    assert refusal(text).message == "the value of `eventName` is a date, not a text or number"


def test_a_field_that_is_nearly_right_is_suggested() -> None:
    assert refused_line({"userIdentity.typ": "x"}).remedy == "did you mean `userIdentity.type`?"


@pytest.mark.parametrize("words", ["word", ["one", "two"], [{"eventName": "x"}, "word"], 5])
def test_words_without_a_field(words: Any) -> None:
    problem = refusal(rule({"selection": words, "condition": "selection"}))
    assert problem.code == "sigma-keywords"
    assert problem.line == 6


@pytest.mark.parametrize(
    ("detection", "code", "message"),
    [
        ({"selection": SELECTION, "condition": "selction"}, "sigma-condition", "no selection `selction`"),
        ({"selection": SELECTION, "condition": "1 of other_*"}, "sigma-condition", "called `other_*`"),
        ({"selection": SELECTION, "condition": "selection andd x"}, "sigma-condition", "from `andd x` on"),
        ({"selection": SELECTION, "condition": "selection and"}, "sigma-condition", "not"),
        ({"selection": SELECTION, "condition": "not " * 2000 + "selection"}, "sigma-condition", "too deeply"),
        ({"selection": SELECTION, "condition": "(" * 6000 + "a" + ")" * 6000}, "sigma-condition", "more than"),
        ({"selection": SELECTION}, "sigma-condition", "no `condition`"),
        ({"selection": SELECTION, "condition": []}, "sigma-condition", "no `condition`"),
        ({"selection": SELECTION, "condition": ["selection", 5]}, "sigma-condition", "no `condition`"),
        ({"selection": None, "condition": "selection"}, "sigma-condition", "`selection` selects nothing"),
        ({"selection": [], "condition": "selection"}, "sigma-condition", "`selection` selects nothing"),
        ({"selection": SELECTION, "condition": "selection | count() > 5"}, "sigma-aggregation", "counts"),
        ({"selection": SELECTION, "condition": "selection | near other"}, "sigma-aggregation", "counts"),
        ({"selection": SELECTION, "timeframe": "5m", "condition": "selection"}, "sigma-aggregation", "timeframe"),
        ({}, "sigma-condition", "no `detection`"),
    ],
    ids=str,
)
def test_detections(detection: dict[str, Any], code: str, message: str) -> None:
    problem = refusal(rule(detection))
    assert (problem.code, message in problem.message) == (code, True), problem.message


def test_nothing_is_too_deep_to_be_told() -> None:
    deep = "not (" * 400 + "selection and other" + ")" * 400
    assert refusal(rule({"selection": SELECTION, "other": SELECTION, "condition": deep})).code == "sigma-condition"


@pytest.mark.parametrize(
    ("others", "code", "line"),
    [
        ({"logsource": {"product": "windows"}}, "sigma-logsource", 2),
        ({"logsource": {"product": "aws"}}, "sigma-logsource", 2),
        ({"logsource": {"product": "aws", "service": "cloudtrail", "category": "x"}}, "sigma-logsource", 2),
        ({"logsource": None}, "sigma-logsource", 2),
        ({"correlation": {"type": "event_count"}}, "sigma-correlation", 9),
        ({"filter": {"rules": "any"}}, "sigma-correlation", 9),
        ({"action": "global"}, "sigma-collection", 9),
        ({"level": "awful"}, "sigma-rule", 9),
        ({"id": "no-uuid"}, "sigma-rule", 9),
        ({"tags": ["nodot"]}, "sigma-rule", 9),
        ({"title": 5}, "sigma-rule", 1),
        ({"references": "one"}, "sigma-rule", 9),
        ({"date": "once"}, "sigma-rule", 9),
    ],
    ids=str,
)
def test_what_is_no_rule_on_cloudtrail(others: dict[str, Any], code: str, line: int) -> None:
    problem = refusal(rule({"selection": SELECTION, "condition": "selection"}, **others))
    assert (problem.code, problem.line) == (code, line)


def test_a_rule_without_a_title_is_none() -> None:
    text = rule({"selection": SELECTION, "condition": "selection"}).partition("\n")[2]
    found, [problem] = converted(text)
    assert found is None
    assert problem.code == "sigma-rule"


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"title: [", "yaml-syntax", 2),
        (b"title: a\n---\ntitle: [\n", "yaml-syntax", 4),
        (b"title: a\n---\ntitle: b\ntitle: c\n", "duplicate-key", 4),
        (b"title: a\n---\n- b\n", "no-mapping", 2),
        (b"\xff\xfe\x00", "not-utf8", 0),
        (b"title: \xe9\n", "not-utf8", 1),
        (b"a: " + b"[" * 100 + b"]" * 100, "too-deep", 1),
        (BOMB, "too-large", 6),
        (b"a: 1\n" + b"#" * 2**20, "too-large", 0),
        (b"", "empty", 0),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, code: str, line: int) -> None:
    (tmp_path / "rule.yml").write_bytes(content)
    _, [problem] = read_rules(tmp_path / "rule.yml")
    assert (problem.code, problem.line) == (code, line)
    assert problem.remedy


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = "# a comment\n---\ntitle: one\n---\n# nothing here\n---\ntitle: two\nlevel: low\n"
    (tmp_path / "rule.yml").write_text(text)
    documents, problems = read_rules(tmp_path / "rule.yml")
    assert not problems
    assert [document.data["title"] for document in documents] == ["one", "two"]
    assert [document.place(("title",))[0] for document in documents] == [3, 7]


def test_a_folder_that_holds_no_rules(tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="there are no Sigma rules there"):
        rule_files([tmp_path])


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    _, [problem] = read_rules(tmp_path / "gone.yml")
    assert problem.code == "file-not-read"


def test_nothing_asks_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        pytest.fail("somebody asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found, problems = converted(rule({"s": SELECTION, "condition": "s"}, tags=["attack.t1078", "attack.persistence"]))
    assert found
    assert not problems
