"""Reading a query as it was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.athena.errors import MalformedQuery, QueryFailed
from tests.athena.statement import place_of, read

END = "TO 's3://b/p/' WITH (format = 'PARQUET')"


def test_an_unload_holds_a_select_and_a_target() -> None:
    read_ = read(
        "unload (select ')' as x from (select 1 as y)) TO 's3://b/p/' WITH (FORMAT='parquet', compression='ZSTD');"
    )
    assert read_.select.sql("athena") == "SELECT ')' AS x FROM (SELECT 1 AS y)"
    assert read_.unload is not None
    assert (read_.unload.location, read_.unload.compression) == ("s3://b/p/", "zstd")


def test_athena_compresses_parquet_with_gzip_by_default() -> None:
    unload = read(f"UNLOAD (SELECT 1 AS x) {END}").unload
    assert unload is not None and unload.compression == "gzip"


def test_places_are_those_of_the_whole() -> None:
    assert place_of(read(f"UNLOAD (SELECT a,\n  wanted FROM t) {END}"), "wanted") == "line 2:3: "


@pytest.mark.parametrize(
    "text", ["UNLOAD (SELECT 1", "UNLOAD (SELECT 1 AS x)", "UNLOAD (SELECT 1 AS x) INTO 's3://b/'"]
)
def test_half_an_unload_is_malformed(text: str) -> None:
    with pytest.raises(MalformedQuery):
        read(text)


@given(st.text(alphabet="SELECTUNOAD ()'\"=,;*-\n1ax") | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except (MalformedQuery, QueryFailed) as refused:
        assert str(refused)
