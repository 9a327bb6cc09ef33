"""The helpers for rules: as they are documented, and calm whatever stands in a record."""

from __future__ import annotations

import base64
import doctest
import fnmatch
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline_sandbox import helpers
from trapline_sandbox.helpers import (
    decode_base64,
    deep_walk,
    glob_match,
    ip_in_network,
    is_public_ip,
    parse_time,
    wildcard_match,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def test_the_examples_are_true() -> None:
    result = doctest.testmod(helpers)
    assert result.attempted >= 8
    assert result.failed == 0


def test_all_of_them_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "helpers.md").read_text()
    assert [name for name in helpers.__all__ if f"`{name}(" not in page] == []


@given(ANYTHING)
def test_none_of_them_minds_what_stands_in_a_record(value: Any) -> None:
    assert ip_in_network(value, "10.0.0.0/8") in (True, False)
    assert is_public_ip(value) in (True, False)
    assert wildcard_match(value, "a*", "?") in (True, False)
    assert glob_match(value, "a/**/[!b]*") in (True, False)
    parse_time(value)
    decode_base64(value)
    list(deep_walk(value, "a.0.b"))


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 32))
def test_an_address_is_in_a_network_as_the_standard_library_says(one: Any, other: Any, prefix: int) -> None:
    network = ip_network(f"{other}/{prefix}", strict=False)
    mapped = getattr(one, "ipv4_mapped", None) or one
    assert ip_in_network(str(one), str(network)) == (mapped.version == network.version and mapped in network)


def test_a_mapped_address_is_the_one_that_it_stands_for() -> None:
    assert ip_in_network("::ffff:10.0.0.1", "10.0.0.0/8")
    assert ip_address("::ffff:10.0.0.1") not in ip_network("10.0.0.0/8")


def test_a_network_that_is_none_is_a_mistake_of_the_rule() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        ip_in_network(None, "10.0.0.0/99")


@given(st.text("ab*?[", max_size=6), st.text("ab[", max_size=6))
def test_wildcards_are_those_of_fnmatch_without_sets(pattern: str, text: str) -> None:
    assert wildcard_match(text, pattern) == fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def test_wildcards_can_ignore_case() -> None:
    assert wildcard_match("Admin-X", "admin*", ignore_case=True)
    assert not wildcard_match("Admin-X", "admin*")
    assert not wildcard_match("Admin-X")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.sql", ["a.sql", ".sql"], ["x/a.sql"]),
        ("**/*.sql", ["a.sql", "x/a.sql", "x/y/a.sql"], ["a.sqlx"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a/c"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("a[bc]d", ["abd", "acd"], ["aed", "a[bc]d"]),
        ("a[!b]d", ["acd"], ["abd", "a/d"]),
        ("a[]]d", ["a]d"], ["ad"]),
        ("a[^]d", ["a^d"], ["abd"]),
        ("a[", ["a["], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [text for text in yes if not glob_match(text, pattern)] == []
    assert [text for text in no if glob_match(text, pattern)] == []


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_pattern_matches_or_is_refused(pattern: str, text: str) -> None:
    wildcard_match(text, pattern)
    with suppress(ValueError):
        glob_match(text, pattern)


def test_a_range_the_wrong_way_round_is_a_mistake_of_the_rule() -> None:
    with pytest.raises(ValueError, match=r"\[z-a\]"):
        glob_match("x", "[z-a]")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_from_its_text(moment: datetime) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30))) if 2 < moment.year < 9998 else moment
    assert parse_time(moment.isoformat()) == parse_time(elsewhere.isoformat()) == moment
    assert parse_time(moment.replace(tzinfo=None).isoformat()) == moment


@pytest.mark.parametrize(
    "value", ["2026-01-02T03:04:05Z", "2026-01-02 03:04:05", "2026-01-02T03:04:05.000000000Z", 1767323045, 1767323045e3]
)
def test_the_ways_to_write_a_time(value: Any) -> None:
    assert parse_time(value) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "soon", "2026-13-01", True, float("nan"), 1e300, [], "nan", "inf"])
def test_what_is_no_time(value: Any) -> None:
    assert parse_time(value) is None


@given(st.text())
def test_base64_comes_back_in_each_of_its_forms(text: str) -> None:
    data = text.encode()
    for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data), base64.b64encode(data).rstrip(b"=")):
        assert decode_base64(encoded.decode()) == text


def test_base64_of_powershell() -> None:
    assert decode_base64(base64.b64encode("whoami".encode("utf-16-le")).decode(), "utf-16-le") == "whoami"
    assert decode_base64("/w==") is None  # no UTF-8


def test_walking_over_lists_in_lists() -> None:
    record = {"a": [{"b": [[{"c": 1}], {"c": [2, None]}]}, {"b": None}, "x"]}
    assert list(deep_walk(record, "a.b.c")) == [1, 2]
    assert list(deep_walk(record, ["a", 0, "b", 1, "c"])) == [2]
    assert list(deep_walk(record, "a.0.b.-1.c")) == [2]
    assert list(deep_walk(record, "a.7.b")) == list(deep_walk(record, "z")) == []
