"""Strict reading: every bad file is one clear problem with its line, and nothing hangs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.document import MAX_BYTES, UnreadableConfig, present, read_document
from trapline.errors import Problem


def refused(path: str, content: bytes | str) -> Problem:
    with pytest.raises(UnreadableConfig) as caught:
        read_document(path, content if isinstance(content, bytes) else content.encode())
    assert caught.value.problem.path == path
    return caught.value.problem


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "empty", 0),
        ("# nothing\n", "empty", 0),
        ("- a\n- b\n", "no-mapping", 1),
        ("just text", "no-mapping", 1),
        ("a: 1\nb: [1, 2\n", "yaml-syntax", 3),
        ("a:\n\tb: 1\n", "yaml-tab", 2),
        ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3),
        ("a:\n  b: 1\n  b: 2\n", "duplicate-key", 3),
        ("{a: 1, a: 1}", "duplicate-key", 1),
        ("a: 1\n---\nb: 1\n", "yaml-documents", 2),
        ("a: &x [*x]\n", "yaml-recursion", 1),
        ("a: !!python/object/apply:os.system [id]\n", "yaml-syntax", 1),
        ("a: 2022-99-99\n", "yaml-value", 0),
        ("a: " + "9" * 5000, "yaml-value", 0),
        ("a: " + "[" * 100_000 + "]" * 100_000, "too-deep", 1),
        ("- " * 100_000, "too-deep", 1),
        ("a: b: c: d", "yaml-syntax", 1),
        ("a: \x01", "yaml-syntax", 0),
        ("? [a]\n: b\n", "yaml-syntax", 1),
    ],
)
def test_yaml_that_is_refused(text: str, code: str, line: int) -> None:
    problem = refused("x/detection.yml", text)
    assert (problem.code, problem.line, problem.severity) == (code, line, "error")
    assert problem.message and problem.remedy


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "empty", 0),
        ('name = "a"\nb = \n', "toml-syntax", 2),
        ("a = 1\na = 2\n", "toml-syntax", 2),
        ('a = "x', "toml-syntax", 1),
        ("a = " + "[" * 100_000, "toml-value", 0),
        (".".join("a" * 300_000) + " = 1", "too-deep", 0),
        ("a = 99999-01-01", "toml-syntax", 1),
        ("a = " + "9" * 5000, "toml-value", 0),
    ],
)
def test_toml_that_is_refused(text: str, code: str, line: int) -> None:
    problem = refused("x/detection.toml", text)
    assert (problem.code, problem.line) == (code, line)
    assert problem.message and problem.remedy


@pytest.mark.parametrize("path", ["a.yml", "a.toml"])
def test_bytes_that_are_no_text(path: str) -> None:
    assert refused(path, b"a: 1\nb: \xff\n").line == 2
    assert refused(path, "a: 1".encode("utf-16")).message == "the file is UTF-16"
    assert refused(path, b"#" * (MAX_BYTES + 1)).code == "too-large"


@pytest.mark.parametrize(("path", "text"), [("a.yml", "a: 1"), ("a.toml", "a = 1")])
def test_a_byte_order_mark_is_read_over_with_a_warning(path: str, text: str) -> None:
    document = read_document(path, text.encode("utf-8-sig"))
    assert document.data == {"a": 1}
    assert [(p.code, p.severity) for p in document.warnings] == [("byte-order-mark", "warning")]


def test_alias_bombs_end_at_once() -> None:
    levels = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    merges = ["m0: &m0 {k0: x}"] + [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, 40)]
    start = time.monotonic()
    assert refused("a.yml", "\n".join(levels)).code == "too-large"
    assert refused("a.yml", "\n".join(merges)).code == "too-large"
    assert time.monotonic() - start < 60  # and not for ever


def test_a_few_aliases_are_fine() -> None:
    assert read_document("a.yml", b"a: &x [1, 2]\nb: *x\nc: {<<: &m {d: 1}}\n").data["b"] == [1, 2]


YAML = """\
name: x
reports:
  attack:
    - one
    - two
tests:
  - name: first
    records:
      - {a: 1}
  - name: second
"""

TOML = """\
# a comment with [brackets] and = signs
name = "x" # another
text = \"\"\"
[not.a.table]
name = 1
\"\"\"
"odd key" = 'a = [b]'
list = [
  "one", # first
  "two",
  { inner = 1, deep.er = [1, 2] },
]
dotted.key = 5

[reports]
attack = ["a", "b"]

[[tests]]
name = "first"
[tests.expect]
title = "t"

[[tests]]
name = "second"
records = [{ a = 1 }]
"""


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("name",), (1, 1)),
        (("reports", "attack", 1), (5, 7)),
        (("tests", 1), (10, 5)),
        (("tests", 1, "name"), (10, 5)),
        (("tests", 0, "records", 0, "a"), (9, 10)),
        (("tests", 1, "match"), (10, 5)),  # not there: its nearest parent
        (("tests", 9), (6, 1)),
        (("nothing",), (0, 0)),
        (("name", "below", "text"), (1, 1)),
    ],
)
def test_places_in_yaml(keys: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert read_document("a.yml", YAML.encode()).place(keys) == place


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("name",), (2, 1)),
        (("text",), (3, 1)),
        (("odd key",), (7, 1)),
        (("list", 1), (10, 3)),
        (("list", 2, "inner"), (11, 5)),
        (("list", 2, "deep", "er", 1), (11, 30)),
        (("dotted", "key"), (13, 1)),
        (("reports", "attack", 0), (16, 11)),
        (("tests", 0, "expect", "title"), (21, 1)),
        (("tests", 0, "expect"), (20, 1)),
        (("tests", 1), (23, 1)),
        (("tests", 1, "match"), (23, 1)),
        (("tests", 1, "records", 0, "a"), (25, 14)),
        (("nothing",), (0, 0)),
    ],
)
def test_places_in_toml(keys: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert read_document("a.toml", TOML.encode()).place(keys) == place


def test_empty_keys_count_as_absent() -> None:
    assert present({"a": None, "b": {"c": None, "d": 1}, "e": {"f": None}}, groups=["b"]) == {
        "b": {"d": 1},
        "e": {"f": None},
    }


@given(
    st.binary() | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t<0=.").map(str.encode), st.sampled_from(["yml", "toml"])
)
def test_any_bytes_are_read_or_refused(content: bytes, suffix: str) -> None:
    try:
        document = read_document(f"a.{suffix}", content)
    except UnreadableConfig as error:
        assert error.problem.message
        return
    for key, value in document.data.items():
        line, _ = document.place((key,))
        assert 0 <= line <= content.count(b"\n") + content.count(b"\r") + 1
        document.place((key, 0, "x"))
        assert value is document.data[key]
