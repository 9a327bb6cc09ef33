"""pack.yml: what it says, and what is said where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapline.config.files import File
from trapline.packs.manifest import ManifestError, load, parse

ROOT = Path(__file__).parents[3]
GOOD = "name: mine\ntitle: Mine\ndescription: What I look for.\nlicense: mit\n"


def refused(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ManifestError) as caught:
        parse(text.encode())
    return [(one.line, one.code) for one in caught.value.problems if one.severity == "error"]


def test_it_says_what_a_pack_is() -> None:
    manifest, problems = parse(
        f"{GOOD}homepage: https://example.org/a?b#c\nauthors: [Ann]\ntables: {{logs: x}}\n".encode()
    )
    assert not problems
    assert (manifest.name, manifest.license, manifest.homepage) == ("mine", "MIT", "https://example.org/a?b#c")
    assert manifest.problem(("tables", "logs"), "any", "x").line == 7


def test_ours_is_one() -> None:
    manifest, problems = parse((ROOT / "pack.yml").read_bytes())
    assert (manifest.name, manifest.license, problems) == ("aws", "Apache-2.0", [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name: mine\n", [(0, "missing-key"), (0, "missing-key"), (0, "missing-key")]),
        (GOOD.replace("mine", "Mine"), [(1, "invalid-value")]),
        (GOOD.replace("mine", "trapline"), [(1, "invalid-value")]),
        (GOOD.replace("Mine", f"{'x' * 101}"), [(2, "invalid-value")]),
        (GOOD.replace("Mine", '""'), [(2, "invalid-value")]),
        (GOOD.replace("mit", "my own"), [(4, "invalid-value")]),
        (f"{GOOD}homepage: javascript:alert(1)\n", [(5, "invalid-value")]),
        (f"{GOOD}homepage: 'https://example.org/ x'\n", [(5, "invalid-value")]),
        (f"{GOOD}tables: [logs]\n", [(5, "invalid-value")]),
        ("name: [\n", [(2, "yaml-syntax")]),
        ("", [(0, "empty")]),
    ],
)
def test_what_is_wrong_is_said_at_its_line(text: str, found: list[tuple[int, str]]) -> None:
    assert refused(text) == found


def test_a_key_that_nobody_knows_is_warned_of() -> None:
    _, [problem] = parse(f"{GOOD}licence: MIT\n".encode())
    assert (problem.line, problem.code, problem.severity) == (5, "unknown-key", "warning")
    assert "did you mean `license`?" in problem.remedy


@pytest.mark.parametrize(
    ("files", "path", "code"),
    [
        ({}, "pack.yml", "no-manifest"),
        ({"pack.yaml": File(content=GOOD.encode())}, "pack.yaml", "no-manifest"),
        ({"pack.yml": File(content=b"", absent="is a symbolic link")}, "pack.yml", "file-not-read"),
    ],
)
def test_a_repository_without_one_is_told_so(files: dict[str, File], path: str, code: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load(files)
    [problem] = caught.value.problems
    assert (problem.path, problem.code) == (path, code)


def test_long_texts_are_said_with_their_length() -> None:
    with pytest.raises(ManifestError, match=r"`title` has 101 characters, and 100 characters are the most"):
        parse(GOOD.replace("Mine", "x" * 101).encode())
