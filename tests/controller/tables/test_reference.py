"""The reference page names every column of the table with its type, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from trapline.tables.cloudtrail import SCHEMA

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "aws_cloudtrail.md"


def columns(field: pa.Field, prefix: str = "") -> Iterator[tuple[str, str]]:
    name, kind = prefix + field.name, field.type
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        name, kind = f"{name}[]", kind.value_type
    if pa.types.is_struct(kind):
        for inner in kind:
            yield from columns(inner, f"{name}.")
    elif pa.types.is_list(kind):
        yield name, f"list<{kind.value_type}>"
    else:
        yield name, str(kind)


def test_the_page_is_the_schema():
    documented = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    assert documented == [column for field in SCHEMA for column in columns(field)]
