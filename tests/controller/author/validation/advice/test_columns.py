"""Columns that a table does not have: in the rule, and in the records of the tests."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest

from trapline.author.validation.advice.schemas import Schemas
from trapline.errors import Problem
from trapline.settings import Settings, TableSettings

Said = Callable[..., list[Problem]]
CLOUDTRAIL = ["aws_cloudtrail"]


class Looked(Schemas):
    """As if these tables had been looked up."""

    def __init__(self, **tables: pa.Schema) -> None:
        super().__init__(Settings())
        self._schemas.update(tables)


def logs(**fields: pa.DataType) -> Schemas:
    return Looked(logs=pa.schema({"ts": pa.timestamp("us"), **fields}))


def rule(expression: str) -> str:
    return f'FIELD = "user.nmae"\n\n\ndef detect(record):\n    return {expression} == "x"\n'


@pytest.mark.parametrize(
    ("expression", "column", "message", "remedy"),
    [
        ('record.deepget("event.actoin")', 27, "`event` has no field `actoin`", "did you mean `action`?"),
        ('record.deepget("evnt.action")', 27, "there is no column `evnt`", "did you mean `event`?"),
        ('record["event"]["actoin"]', 28, "`event` has no field `actoin`", "did you mean `action`?"),
        ('record.get("event", {}).get("actoin")', 40, "`event` has no field `actoin`", "did you mean `action`?"),
        ('record.deepget(["event", "actoin"])', 27, "`event` has no field `actoin`", "did you mean `action`?"),
        ("record.deepget(FIELD)", 27, "`user` has no field `nmae`", "did you mean `name`?"),
        ('record.deepget("user.xyz")', 27, "`user` has no field `xyz`", "there are name, id, roles"),
        ('record.deepget("user.name.first")', 27, "`user.name` is text, and has no field `first`", "read user.name"),
        ('record.deepget("event.category.name")', 27, "`event.category` is a list", "event.category.0"),
        (
            'record.deepget("aws.cloudtrail.request_parameters.userName")',
            27,
            "`aws.cloudtrail.request_parameters` is text",
            "json.loads",
        ),
    ],
)
def test_what_the_documented_table_does_not_have(
    said: Said, expression: str, column: int, message: str, remedy: str
) -> None:
    [problem] = said(rule(expression), tables=CLOUDTRAIL)
    assert (problem.severity, problem.code, problem.line, problem.column) == ("warning", "unknown-column", 5, column)
    assert message in problem.message
    assert problem.message.endswith("in the table aws_cloudtrail, as `trapline tables import` makes it")
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    "expression",
    [
        'record.deepget("event.action")',
        'record["aws"]["cloudtrail"]["user_identity"]["arn"]',
        'record.deepget("event.category.0")',
        'record.deepget(["related", "ip", 0])',
        'json.loads(record.deepget("event.original"))["anything"]',
        '"nothing" in record and record.to_dict()["nothing"]',
        "record.deepget(name)",
    ],
)
def test_what_it_has(said: Said, expression: str) -> None:
    assert said("import json\n\nname = input()\n\n\n" + rule(expression), tables=CLOUDTRAIL) == []


def test_a_helper_is_looked_into(said: Said) -> None:
    script = (
        'def detect(record):\n    return who(record.get("user")) == "x"\n\n\ndef who(user):\n    return user["nam"]\n'
    )
    [problem] = said(script, tables=CLOUDTRAIL)
    assert (problem.line, problem.message.split(" in ")[0]) == (6, "`user` has no field `nam`")


def test_so_is_what_it_imports(said: Said) -> None:
    lib = '"""What many share."""\n\n\ndef who(user):\n    return user["nam"]\n'
    code = 'from lib.shared import who\n\n\ndef detect(record):\n    return who(record.get("user")) == "x"\n'
    [problem] = said(code, lib=lib, tables=CLOUDTRAIL)
    assert (problem.path, problem.line, problem.column) == ("lib/shared.py", 5, 17)
    assert problem.message.startswith("`user` has no field `nam`")


def test_a_table_is_looked_at_as_it_is(said: Said) -> None:
    found = said(rule('record.deepget("b.x")'), schemas=logs(a=pa.string(), b=pa.struct({"y": pa.int64()})))
    assert [one.message for one in found] == ["`b` has no field `x` in the table logs"]
    assert said(rule('record.deepget("b.x")'), schemas=logs(b=pa.map_(pa.string(), pa.string()))) == []
    assert said(rule('record.deepget("b.x")'), schemas=logs(b=pa.null())) == []


def test_it_is_enough_that_one_table_has_it(said: Said) -> None:
    schemas = Looked(logs=pa.schema({"a": pa.string()}), flows=pa.schema({"b": pa.string()}))
    assert said(rule('record.deepget("b")'), tables=["logs", "flows"], schemas=schemas) == []
    [problem] = said(rule('record.deepget("c")'), tables=["logs", "flows"], schemas=schemas)
    assert problem.message == "there is no column `c` in the tables logs, flows"


def test_of_what_is_not_known_nothing_is_said(said: Said) -> None:
    assert said(rule('record.deepget("nothing.there")')) == []
    assert said(rule('record.deepget("nothing")'), tables=[*CLOUDTRAIL, "logs"]) == []
    assert said(rule('record.deepget("nothing")'), schemas=Looked(logs=pa.schema([]))) == []
    athena = Settings(tables={"aws_cloudtrail": TableSettings(engine="athena")})
    assert said(rule('record.deepget("nothing")'), tables=CLOUDTRAIL, schemas=Schemas(athena)) == []
    iceberg = Settings(tables={"aws_cloudtrail": TableSettings(iceberg={"catalog": "c", "table": "a.b"})})
    assert said(rule('record.deepget("nothing")'), tables=CLOUDTRAIL, schemas=Schemas(iceberg)) == []


def test_records_of_tests(said: Said) -> None:
    records = [
        {"event": {"actoin": "x", "category": ["a"]}, "aws": {"cloudtrail": {"request_parameters": {"a": 1}}}},
        {"event": {"actoin": "y"}, "user": {"name": {"first": "a"}}, "related": {"ip": None}},
    ]
    case = {"name": "a", "match": True, "records": records}
    found = said(rule('record.deepget("event.action")'), tables=CLOUDTRAIL, tests=[case])
    assert {one.path for one in found} == {"detections/one/detection.yml"}
    assert {one.code for one in found} == {"unknown-column"}
    assert [one.message.split(" in ")[0] for one in found] == [
        "`aws.cloudtrail.request_parameters` is text, and has no field `a`",
        "`event` has no field `actoin`",
        "`user.name` is text, and has no field `first`",
    ]
    assert all(one.line and one.column for one in found)
