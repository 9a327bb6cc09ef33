"""suppressions.yml: what it takes and refuses, with the line of every problem, and what an entry covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.files import File
from trapline.errors import Problem
from trapline.suppressions import Suppression, Suppressions, SuppressionsError, load, parse

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
BEFORE = NEW_YEAR - timedelta(microseconds=1)
WHO = "owner: carol\n    reason: a drill\n    expires: 2027-01-01\n"


def entries(*said: str) -> Suppressions:
    return parse(_file(*said))[0]


def refused(*said: str) -> list[Problem]:
    with pytest.raises(SuppressionsError) as error:
        parse(_file(*said))
    return list(error.value.problems)


def _file(*said: str) -> bytes:
    return ("suppressions:\n" + "".join(f"  - {one}\n    {WHO}" for one in said)).encode()


def covers(said: str, record: Any, *, dedupe: str = "alice", at: datetime = BEFORE) -> bool:
    return entries(said).entries[0].covers(dedupe, at, lambda: record)


def test_an_entry_says_all_that_somebody_must_know() -> None:
    [entry] = entries("detection: root_login").entries
    assert (entry.detection, entry.owner, entry.reason, str(entry.expires)) == (
        "root_login",
        "carol",
        "a drill",
        "2027-01-01",
    )
    assert entry.concerns("root_login")
    assert not entry.concerns("root_login_2")


@pytest.mark.parametrize("key", ["owner", "reason", "expires"])
def test_who_why_and_until_when_are_asked_for(key: str) -> None:
    lines = _file("detection: one").decode().splitlines()
    text = "\n".join(line for line in lines if f" {key}:" not in line)
    with pytest.raises(SuppressionsError) as error:
        parse(text.encode())
    [problem] = error.value.problems
    assert str(problem).startswith("suppressions.yml:2:")
    assert f"`suppressions[0].{key}` is missing" in problem.message


def test_an_entry_that_names_nothing_would_suppress_everything() -> None:
    [problem] = refused("tags: [a]", "detection: two")[1:]
    assert "it would suppress every match" in problem.message


def test_a_misspelled_key_is_an_error_for_it_narrows_nothing() -> None:
    [problem] = refused("detection: one\n    dedup: alice")
    assert (problem.line, problem.code, problem.severity) == (3, "unknown-key", "error")
    assert "did you mean `dedupe`?" in problem.remedy


def test_the_same_twice_is_one_too_many() -> None:
    [problem] = refused("detection: one", "detection: one")
    assert (problem.line, problem.code) == (6, "duplicate")


@pytest.mark.parametrize("value", ["{a: 1}", "[]", "null", "[[1]]"])
def test_field_values_are_plain(value: str) -> None:
    [problem] = refused(f"fields: {{user.name: {value}}}")
    assert "write one value, or a list of values" in problem.message


def test_a_date_that_is_none_is_told_with_its_line() -> None:
    text = _file("detection: one").replace(b"2027-01-01", b"soon")
    with pytest.raises(SuppressionsError) as error:
        parse(text)
    [problem] = error.value.problems
    assert (problem.line, problem.remedy) == (5, "write a date such as 2022-10-23")


def test_no_file_suppresses_nothing() -> None:
    assert load({})[0].entries == ()
    assert parse(b"# nothing yet\n")[0].entries == ()


def test_another_suffix_is_told() -> None:
    _, _, [problem] = load({"suppressions.yaml": File(content=b"")})
    assert problem.remedy == "rename it to suppressions.yml"


def test_what_is_about_no_detection_is_told_with_what_is_near() -> None:
    [problem] = entries("detection: root_logn", "dedupe: x", "detection: root_*").unknown(["root_login"])
    assert problem.message == "there is no detection `root_logn`, so that nothing is suppressed"
    assert "did you mean `root_login`?" in problem.remedy


def test_what_is_over_is_told_from_its_day_on() -> None:
    found = entries("detection: one")
    assert list(found.expired(BEFORE)) == []
    [problem] = found.expired(NEW_YEAR)
    assert (problem.line, problem.code, problem.severity) == (2, "suppression-expired", "warning")
    assert problem.message == "the suppression of carol ended on 2027-01-01: a drill"


def test_it_ends_with_the_first_event_of_its_day() -> None:
    assert covers("dedupe: alice", {}, at=BEFORE)
    assert not covers("dedupe: alice", {}, at=NEW_YEAR)


def test_a_renewed_one_is_still_the_same() -> None:
    text = _file("detection: one")
    renewed = text.replace(b"2027", b"2028").replace(b"drill", b"second drill")
    assert parse(text)[0].entries[0].id == parse(renewed)[0].entries[0].id
    assert entries("detection: one").entries[0].id != entries("detection: two").entries[0].id


RECORD = {
    "user": {"name": "ci-bot", "groups": ["dev", "ops"], "admin": True},
    "source": {"port": 443, "ip": None},
    "resources": [{"arn": "a:1"}, {"arn": "a:2"}],
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("user.name: ci-bot", True),
        ("user.name: ci-*", True),
        ("user.name: CI-BOT", False),
        ("user.name: bot", False),
        ("user.name: [other, ci-bot]", True),
        ("user.groups: ops", True),
        ("resources.arn: a:2", True),
        ("resources.arn: a:3", False),
        ("source.port: 443", True),
        ("source.port: '443'", False),
        ("user.admin: true", True),
        ("user.admin: 1", False),
        ("source.ip: '*'", False),
        ("source.mac: '*'", False),
        ("user: ci-bot", False),
        ("user.name.first: ci-bot", False),
        ("user.name: ci-bot, source.port: 443", True),
        ("user.name: ci-bot, source.port: 80", False),
    ],
)
def test_fields_are_compared_with_the_record(fields: str, expected: bool) -> None:
    assert covers(f"fields: {{{fields}}}", RECORD) is expected


def test_a_match_without_its_record_has_no_fields() -> None:
    assert not covers("fields: {user.name: '*'}", None)


texts = st.text(max_size=12)


@given(texts, texts)
def test_only_the_star_is_more_than_itself(text: str, other: str) -> None:
    def is_covered(pattern: str, dedupe: str) -> bool:
        entry = Suppression(dedupe=pattern, owner="c", reason="r", expires=NEW_YEAR.date())
        return entry.covers(dedupe, BEFORE, dict)

    plain = text.replace("*", "")
    if plain:
        assert is_covered(plain, plain)
        assert is_covered(plain, other) == (plain == other)
        assert is_covered(f"{plain}*", plain + other)
        assert is_covered(f"*{plain}", other + plain)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_file_says_it_is_read_or_told_with_its_problems(content: bytes) -> None:
    try:
        parse(content)
    except SuppressionsError as error:
        assert any(problem.severity == "error" for problem in error.problems)
