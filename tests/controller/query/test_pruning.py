"""What a scan reads of nested records."""

from __future__ import annotations

import pyarrow as pa
import pytest

from trapline.detection.inference.reads import Read
from trapline.query.engine import PRESENCE
from trapline.query.pruning import prune

ACCOUNT = pa.struct([("id", pa.string()), ("name", pa.string())])
SCHEMA = pa.schema(
    [
        ("ts", pa.timestamp("us", "UTC")),
        ("cloud", pa.struct([("region", pa.string()), ("account", ACCOUNT), ("tags", pa.list_(pa.string()))])),
        ('the "x"', pa.int64()),
    ]
)


def select(*reads: tuple[tuple[str, ...], bool]) -> list[str]:
    return list(prune(SCHEMA, [Read(*read) for read in reads]).columns)


@pytest.mark.parametrize(
    ("path", "whole", "column"),
    [
        (("ts",), True, '"ts" AS "ts"'),
        (('the "x"',), False, '"the ""x""" AS "the ""x"""'),
        (("cloud",), True, '"cloud" AS "cloud"'),
        (("cloud", "region"), True, 'struct_pack("region" := "cloud"."region") AS "cloud"'),
        (("cloud", "tags", "0"), True, 'struct_pack("tags" := "cloud"."tags") AS "cloud"'),
        (("cloud", "region", "below"), True, 'struct_pack("region" := "cloud"."region") AS "cloud"'),
        (
            ("cloud",),
            False,
            'CASE WHEN "cloud" IS NOT NULL THEN struct_pack("region" := "cloud"."region") END AS "cloud"',
        ),
        (
            ("cloud", "account", "id"),
            True,
            'struct_pack("account" := struct_pack("id" := "cloud"."account"."id")) AS "cloud"',
        ),
    ],
)
def test_one_read(path: tuple[str, ...], whole: bool, column: str) -> None:
    assert select((path, whole)) == [column]


def test_reads_are_joined_in_the_order_of_the_schema() -> None:
    assert select((('the "x"',), True), (("cloud", "tags"), True), (("cloud", "region"), True), (("ts",), True)) == [
        '"ts" AS "ts"',
        'struct_pack("region" := "cloud"."region", "tags" := "cloud"."tags") AS "cloud"',
        '"the ""x""" AS "the ""x"""',
    ]


def test_the_whole_of_something_is_all_of_it() -> None:
    assert select((("cloud", "region"), True), (("cloud",), True), (("cloud",), False)) == ['"cloud" AS "cloud"']


def test_what_is_not_there_is_left_out() -> None:
    assert select((("nope",), True), (("cloud", "nope"), True), (("Cloud",), True)) == []


def test_a_struct_read_in_part_says_that_its_presence_is_not_known() -> None:
    schema = prune(SCHEMA, [Read(("cloud", "account", "id"), True), Read(("cloud", "account"), False)]).schema
    cloud = schema.field("cloud")
    assert cloud.metadata == {PRESENCE: b"unknown"}
    assert cloud.type.field("account").metadata is None
    assert cloud.type == pa.struct([("account", pa.struct([("id", pa.string())]))])
