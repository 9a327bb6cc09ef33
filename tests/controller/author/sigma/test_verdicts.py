"""A converted rule says of every record what Sigma says of its event, and is never kept from one that it matches.

`TRAPLINE_EXAMPLES` is the number of generated rules.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.controller.author.sigma.evaluator import matches
from tests.controller.author.sigma.ground import batch_of, converted, detect, normalised, of_table, rule, script
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import ANYTHING, holds
from trapline.query.masks import masks
from trapline.tables.cloudtrail import SCHEMA
from trapline_sandbox.record import Record

EXAMPLES = int(os.environ.get("TRAPLINE_EXAMPLES", "60"))
Event = Mapping[str, Any]

BACK = "\\"
EVENTS: list[Event] = [
    {},
    {"eventName": "CreateUser", "eventSource": "iam.amazonaws.com"},
    {"eventName": "createuser", "readOnly": True, "errorCode": ""},
    {"eventName": "CreateUserX", "readOnly": False, "errorCode": "AccessDenied"},
    {"eventName": "XCreateUser", "sourceIPAddress": "10.1.2.3", "userAgent": "aws-cli/2 [boto*] a\\b"},
    {"eventName": "Create*", "sourceIPAddress": "AWS Internal", "userAgent": "line one\nline two"},
    {"eventName": "CreateXUser", "sourceIPAddress": "2001:db8::5", "awsRegion": "eu-west-1"},
    {"eventName": "Create*User", "userAgent": "run -x -y", "errorMessage": "run /x \u2014y"},
    {"requestParameters": None, "responseElements": {"ConsoleLogin": "Failure"}},
    {"requestParameters": {"name": "Admin", "count": 5, "flag": True, "none": None, "nested": {"id": "a"}}},
    {
        "requestParameters": {
            "name": ["reader", "ADMIN"],
            "count": "5",
            "flag": "true",
            "nested": [{"id": "b"}, {"id": 7}],
        }
    },
    {"requestParameters": {"name": [], "count": 4.5, "nested": {"id": ["a", "b"]}}},
    {
        "requestParameters": {
            "name": "",
            "count": "many",
            "none": 0,
            "nested": "no object",
            "code": "a\u0000d\u0000m\u0000",
        }
    },
    {"requestParameters": {"name": "10.0.0.9", "count": -3, "code": base64.b64encode(b"xxadministrator!!").decode()}},
    {"requestParameters": {"code": base64.b64encode("admin".encode("utf-16le")).decode(), "name": {"deep": [1]}}},
    {"requestParameters": {"code": base64.b64encode(b"\xff\xfe" + "admin".encode("utf-16le")).decode()}},
    {"userIdentity": {"type": "Root", "arn": "arn:aws:iam::1:root", "userName": "admin"}, "readOnly": True},
    {"userIdentity": {"type": "IAMUser", "userName": "Admin"}, "requestParameters": {"name": "administrator"}},
    {"resources": [{"ARN": "arn:aws:s3:::one", "type": "AWS::S3::Bucket"}, {"ARN": "arn:aws:s3:::Two"}]},
    {"resources": [None, {"accountId": "111122223333"}], "recipientAccountId": "111122223333"},
    {"userIdentity": {"userName": "MIN"}, "requestParameters": {"name": "Admin", "flag": False}, "readOnly": False},
    {"userIdentity": {"userName": "Admin"}, "requestParameters": {"name": "admin", "code": "\0a\0d\0m"}},
    {"eventName": "XUserX", "readOnly": True, "userAgent": "aws-cli/2 [botoX] o"},
    {
        "additionalEventData": {"MFAUsed": "No"},
        "responseElements": {"ConsoleLogin": "Success"},
        "eventName": "ConsoleLogin",
    },
]
"""What the rules below are tried on, every one."""

LINES: list[dict[str, Any]] = [
    {"eventName": "createUSER"},
    {"eventName": ["CreateUser", "ConsoleLogin", "a", "b", "c", "d"]},
    {"eventName|cased": "CreateUser"},
    {"eventName|cased": ["CreateUser", "createuserx"]},
    {"eventName": "Create*"},
    {"eventName": "*user"},
    {"eventName": "*eus*"},
    {"eventName": "Create*User"},
    {"eventName": "Create?User"},
    {"eventName": "Create" + BACK + "*"},
    {"eventName": "Create" + BACK + "*User"},
    {"eventName": ["C*r", "?onsoleLogin"]},
    {"userAgent": "aws*[b?to" + BACK + "*]*"},
    {"eventName": "*"},
    {"eventName": "?*"},
    {"errorCode": ""},
    {"errorCode": None},
    {"errorCode": []},
    {"errorCode": [None, "AccessDenied"]},
    {"errorCode|exists": True},
    {"errorCode|exists": False},
    {"requestParameters.name|exists": True},
    {"requestParameters.none|exists": True},
    {"requestParameters.name": None},
    {"requestParameters.name": ""},
    {"requestParameters.name": "*"},
    {"requestParameters.name": "admin"},
    {"requestParameters.name|cased": "ADMIN"},
    {"requestParameters.name|cased": ["ADMIN", "x"]},
    {"requestParameters.name": ["admin", "root"]},
    {"requestParameters.name|contains": "min"},
    {"requestParameters.name|contains": ["min", "EAD"]},
    {"requestParameters.name|contains|all": ["ad", "min"]},
    {"requestParameters.name|startswith": ["ADM", "x"]},
    {"requestParameters.name|endswith": "strator"},
    {"requestParameters.name": "a?m*n"},
    {"requestParameters.name": ["a?m*n", "*e?der"]},
    {"requestParameters.name|cidr": "10.0.0.0/8"},
    {"requestParameters.count": 5},
    {"requestParameters.count": [5, "many"]},
    {"requestParameters.count": 4.5},
    {"requestParameters.count|gt": 4},
    {"requestParameters.count|gte": 5},
    {"requestParameters.count|lt": 4.5},
    {"requestParameters.count|lte": -3},
    {"requestParameters.flag": True},
    {"requestParameters.flag": "TRUE"},
    {"requestParameters.nested.id": "a"},
    {"requestParameters.nested.id|all": ["a", "b"]},
    {"requestParameters.nested.id": 7},
    {"requestParameters.nested|contains": '"id"'},
    {"requestParameters|contains": "admin"},
    {"requestParameters.name|contains": "deep"},
    {"responseElements.ConsoleLogin": "failure", "eventName": None},
    {"requestParameters.flag": False},
    {"additionalEventData.MFAUsed": "no"},
    {"readOnly": True},
    {"readOnly": "False"},
    {"readOnly|cased": "true"},
    {"readOnly": [True, None]},
    {"readOnly|contains": "al"},
    {"readOnly|exists": True},
    {"sourceIPAddress|cidr": "10.0.0.0/8"},
    {"sourceIPAddress|cidr": ["192.168.0.0/16", "2001:db8::/32"]},
    {"userAgent|contains|all": ["aws", "boto"]},
    {"userAgent|contains": ["[boto" + BACK + "*]", "nothing"]},
    {"userAgent|endswith": "a" + BACK + "b"},
    {"userAgent|re": "^line (one|three)"},
    {"userAgent|re|m": "^line two$"},
    {"userAgent|re|s": "one.line"},
    {"userAgent|re|i|s": "ONE.LINE"},
    {"userAgent|re": ""},
    {"userAgent|re": '"|x*'},
    {"userAgent|re|contains": "cli/[0-9]"},
    {"requestParameters.name|re": "^[Aa]dmin$"},
    {"userAgent|windash|contains": "-x -y"},
    {"errorMessage|windash|contains": ["-x -y"]},
    {"errorMessage|windash|contains|all": ["-x", "/y"]},
    {"requestParameters.code|wide|contains": "adm"},
    {"requestParameters.code|utf16be": "adm"},
    {"requestParameters.code|base64offset|contains": "administrator"},
    {"requestParameters.code|base64": "xxadministrator!!"},
    {"requestParameters.code|wide|base64": "admin"},
    {"requestParameters.code|utf16|base64": "admin"},
    {"requestParameters.code|utf16|base64offset|contains": "admin"},
    {"userIdentity.userName|fieldref": "requestParameters.name"},
    {"requestParameters.name|fieldref|startswith": "userIdentity.userName"},
    {"requestParameters.name|fieldref|endswith": "userIdentity.userName"},
    {"requestParameters.name|fieldref|contains": "userIdentity.userName"},
    {"resources.accountId|fieldref": "recipientAccountId"},
    {"readOnly|fieldref": "requestParameters.flag"},
    {"resources.ARN|endswith": ":two"},
    {"resources.type": "AWS::S3::Bucket", "resources.ARN|contains": "two"},
    {"resources.ARN": None},
    {"recipientAccountId": 111122223333},
    {"eventName|neq": "CreateUser"},
    {"requestParameters.name|contains|neq": ["min", "x"]},
    {"eventName|contains": "create", "readOnly": False},
    {"userIdentity.arn|startswith": "arn:aws:iam::", "userIdentity.type|contains": "oo"},
]

CONDITIONS = [
    "one",
    "not one",
    "one and two",
    "one or two",
    "one and not two",
    "not (one or two)",
    "not (one and not two) or three_a",
    "one or two and three_a",
    "(one or two) and not three_b",
    "1 of three_*",
    "all of three_*",
    "any of them",
    "all of them",
    "not 1 of three_* and one",
    "not not one",
    "two and not not (one or three_b) and not (not one or not not three_a)",
    ["one and two", "three_a"],
]


def agree(detection: Mapping[str, Any], events: list[Event]) -> list[bool]:
    """What Sigma says of the events, once the converted rule and what is inferred of it have said the same."""
    code = script(rule(detection))
    found, predicate = detect(code), infer(code).predicate
    wanted = [matches(detection, event) for event in events]
    [mask] = masks(batch_of(events), [predicate], SCHEMA)
    passed = mask.to_pylist() if mask is not None else [True] * len(events)
    assert not [event for event, verdict, passes in zip(events, wanted, passed, strict=True) if verdict and not passes]
    for event, record, verdict in zip(events, normalised(events), wanted, strict=True):
        said = found(record)
        assert said is verdict, (event, code)
        assert holds(predicate, lambda path, record=record: _at(record, path)) or not verdict, (event, code)
    return wanted


def _at(record: Record, path: Any) -> Any:
    """Nothing is known of what lies inside a list."""
    for length in range(len(path)):
        if length and isinstance(record.deepget(list(path[:length])), list):
            return ANYTHING
    return record.deepget(list(path)) if path else record


@pytest.mark.parametrize("line", LINES, ids=str)
def test_every_kind_of_line(line: dict[str, Any]) -> None:
    verdicts = agree({"selection": line, "condition": "selection"}, EVENTS)
    assert {True, False} == {*verdicts}, "these events do not tell whether the line means anything"


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_every_kind_of_condition(condition: Any) -> None:
    detection = {
        "one": {"eventName|contains": "user"},
        "two": [{"readOnly": True}, {"errorCode|exists": True, "readOnly": False}],
        "three_a": {"eventName|startswith": "create"},
        "three_b": {"eventName|endswith": "user"},
        "_hidden": {"eventName": None},
        "condition": condition,
    }
    assert True in agree(detection, EVENTS)


def test_a_selection_may_be_called_as_a_number_or_as_a_word_of_python() -> None:
    detection = {1: {"eventName|contains": "user"}, "class": {"readOnly": True}, "text": {"readOnly": None}}
    found = detect(script(rule({**detection, "condition": "1 and class or text"})))
    names = {str(name): value for name, value in detection.items()}
    wanted = [matches({**names, "condition": "1 and class or text"}, event) for event in EVENTS]
    assert [found(record) for record in normalised(EVENTS)] == wanted
    assert {*wanted} == {True, False}


WORDS = [
    "",
    "a",
    "A",
    "ab",
    "b",
    "aB-c",
    "*",
    "a*",
    "?",
    "a?",
    "*b",
    "a*c",
    BACK + "*",
    BACK * 2,
    "[a]",
    "10.0.0.1",
    "true",
    "5",
]
PLAIN = ["", "a", "A", "ab", "AB", "b", "aB-c", "a*c", "*", BACK, "[a]", "10.0.0.1", "true", "5", "-a /b", "xaby"]
SCALARS = st.one_of(st.sampled_from(PLAIN), st.sampled_from([True, False, 5, 4.5, -1, None]))
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
    max_leaves=5,
)
TEXTS = ["eventName", "userAgent", "errorCode", "userIdentity.type", "sourceIPAddress"]
FIELDS = [*TEXTS, "readOnly", "requestParameters.x", "requestParameters.x.y", "responseElements.y", "resources.ARN"]
MODIFIERS = [
    "",
    "|contains",
    "|startswith",
    "|endswith",
    "|cased",
    "|contains|cased",
    "|contains|all",
    "|neq",
    "|windash",
]
PLAIN_VALUES = st.one_of(st.sampled_from(WORDS), st.sampled_from([True, False, 5, 4.5, None]))


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, Any]:
    field = draw(st.sampled_from(FIELDS))
    match draw(st.sampled_from(["text", "text", "plain", "exists", "compare", "re", "ref", "cidr"])):
        case "text":
            texts = st.sampled_from(WORDS)
            return field + draw(st.sampled_from(MODIFIERS)), draw(
                st.one_of(texts, st.lists(texts, min_size=1, max_size=6))
            )
        case "plain":
            return field, draw(st.one_of(PLAIN_VALUES, st.lists(PLAIN_VALUES, max_size=4)))
        case "exists":
            return f"{field}|exists", draw(st.booleans())
        case "compare":
            return f"{field}|{draw(st.sampled_from(['lt', 'lte', 'gt', 'gte']))}", draw(
                st.sampled_from([4, 5, 4.5, -1])
            )
        case "re":
            flags = draw(st.sampled_from(["", "|i", "|m", "|s"]))
            return f"{field}|re{flags}", draw(st.sampled_from(["^a", "b$", "a.*c", "[AB]", "", "^$", BACK + "*"]))
        case "ref":
            how = draw(st.sampled_from(["", "|contains", "|startswith", "|endswith"]))
            return f"{field}|fieldref{how}", draw(st.sampled_from(FIELDS))
        case _:
            return f"{field}|cidr", draw(st.sampled_from(["10.0.0.0/24", "0.0.0.0/0", "2001:db8::/32"]))


def selections() -> st.SearchStrategy[Any]:
    one = st.lists(lines(), min_size=1, max_size=3, unique_by=lambda line: line[0]).map(dict)
    return st.one_of(one, st.lists(one, min_size=1, max_size=2))


@st.composite
def detections(draw: st.DrawFn) -> dict[str, Any]:
    names = ["one", "two", "three_a", "three_b"]
    return {**{name: draw(selections()) for name in names}, "condition": draw(st.sampled_from(CONDITIONS))}


@st.composite
def events(draw: st.DrawFn) -> Event:
    texts = draw(st.dictionaries(st.sampled_from([one for one in TEXTS if "." not in one]), st.sampled_from(PLAIN)))
    objects = draw(
        st.dictionaries(
            st.sampled_from(["requestParameters", "responseElements"]),
            st.dictionaries(st.sampled_from(["x", "y"]), NESTED, max_size=2),
        )
    )
    others: dict[str, Any] = {}
    if draw(st.booleans()):
        others["readOnly"] = draw(st.booleans())
    if draw(st.booleans()):
        others["resources"] = draw(st.lists(st.sampled_from(PLAIN).map(lambda arn: {"ARN": arn}), max_size=3))
    if draw(st.booleans()):
        others["userIdentity"] = {"type": draw(st.sampled_from(PLAIN))}
    return {**texts, **objects, **others}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(detections(), st.lists(events(), min_size=5, max_size=20))
def test_generated_rules_on_generated_events(detection: dict[str, Any], many: list[Event]) -> None:
    agree(detection, many)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(detections())
def test_the_cases_that_are_made_up_hold(detection: dict[str, Any]) -> None:
    """They were checked on plain dictionaries; production has records of the table."""
    found, _ = converted(rule(detection))
    assert found
    cases = yaml.safe_load(found.config).get("tests", [])
    assert [case["match"] for case in cases] == ([True, False] if found.has_tests else [])
    for case in cases:
        [record] = of_table(case["records"])
        assert detect(found.script)(record) is case["match"]
