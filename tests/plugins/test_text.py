"""Attackers' text, made safe."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline_plugins.samples import NOTIFICATIONS, a_notification
from trapline_plugins.text import MAX_DEPTH, lines, notification_json, one_line, plain, well_formed

any_text = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07[]m;\u202e\r\n"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x07click\x1b]8;;\x1b\\", "click"),
        ("\x1b]0;title never closed", ""),
        ("\x9b2Jcleared", "cleared"),
        ("a\r\n  replay  rm -rf /", "a replay rm -rf /"),
        ("user\u202eexe.txt", "userexe.txt"),
        ("ログイン 👩‍👩‍👧 نجاح", "ログイン 👩‍👩‍👧 نجاح"),
        ("x" * 50, "x" * 19 + "…"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert one_line(text, 20) == shown


@given(any_text)
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    shown = one_line(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c == "\u202e" for c in shown)
    shown.encode()


def test_lines_are_kept_apart_and_counted() -> None:
    assert lines("one\n\ntwo\x1b[2J\n\n") == ["one", "", "two"]
    assert lines("x\n" * 100, count=3) == ["x", "x", "…"]
    assert lines("x" * 100, length=10) == ["x" * 9 + "…"]


def test_lines_are_indented_as_they_are() -> None:
    assert lines("1. See:\n   ```\n     SELECT  *\n   ```\n  \n\tx") == [
        "1. See:",
        "   ```",
        "     SELECT *",
        "   ```",
        "",
        "x",
    ]
    assert lines(" " * 1000 + "x") == [" " * 24 + "x"]


@given(json_values)
def test_plain_values_survive_any_transport(value: object) -> None:
    carried = json.loads(json.dumps(plain(value), ensure_ascii=False, allow_nan=False).encode())
    assert carried == plain(value)
    assert plain(carried) == carried


@given(st.text())
def test_well_formed_text_is_left_alone(text: str) -> None:
    assert well_formed(text) == text


def test_depth_is_bounded() -> None:
    value = json.dumps(plain(NOTIFICATIONS["deep"].context))
    assert value.count("{") == MAX_DEPTH


def test_a_notification_names_every_field() -> None:
    shown = notification_json(a_notification())
    assert shown["kind"] == "opened"
    assert shown["first_match_at"] == "2030-01-02T02:54:05+00:00"
    assert shown["provenance"]["table"] == "aws_cloudtrail"
    assert shown["records"] == [{"event": {"action": "ConsoleLogin"}, "source": {"ip": "203.0.113.9"}}]
