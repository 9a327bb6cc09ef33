"""trapline.yml changed in its place, however it is written."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trapline.author.registry.edit import edited, save
from trapline.author.registry.splice import Append, Change, Put, Remove
from trapline.errors import TraplineError
from trapline.settings import SettingsError

OLD, NEW = "a" * 40, "b" * 40
ENTRY = {"source": "https://git.example/soc/rules.git", "revision": NEW, "token": "${env:TOKEN}", "enable": ["tag:iam"]}
PACK = ("packs", "aws")


def after(text: str, *changes: Change) -> str:
    return edited(text.encode(), changes).decode()


def touched(before: str, result: str) -> list[str]:
    """The lines that a diff shows, as `-old` and `+new`."""
    lines = difflib.ndiff(before.splitlines(), result.splitlines())
    return [line[0] + line[2:] for line in lines if line[0] in "+-"]


BLOCK = f"""\
# Ours.
tables:
  trail:
    path: x     # not a default

packs:   # of others
  aws:
    source: builtin:aws
    revision: '{OLD}'  # 2026-01
    enable:
    - root_login   # asked for by audit
    - tag:iam
    # - tag:s3
    overrides:
      root_login: {{severity: high}}
      noisy:
        enabled: false   # until the new VPN

# How often.
schedule: {{every: 5m}}"""


@pytest.mark.parametrize(
    ("change", "diff"),
    [
        (Put((*PACK, "revision"), NEW), [f"-    revision: '{OLD}'  # 2026-01", f"+    revision: '{NEW}'  # 2026-01"]),
        (Append((*PACK, "enable"), "tag:ec2"), ["+    - tag:ec2"]),
        (Remove((*PACK, "enable", 0)), ["-    - root_login   # asked for by audit"]),
        (Remove((*PACK, "enable", 1)), ["-    - tag:iam"]),
        (
            Remove((*PACK, "overrides", "noisy", "enabled"), PACK),
            ["-      noisy:", "-        enabled: false   # until the new VPN"],
        ),
        (Put((*PACK, "overrides", "other", "enabled"), False), ["+      other:", "+        enabled: false"]),
        (
            Put((*PACK, "overrides", "root_login", "enabled"), False),
            ["-      root_login: {severity: high}", "+      root_login: {severity: high, enabled: false}"],
        ),
        (
            Put(("packs", "soc"), ENTRY),
            [
                "+  soc:",
                "+    source: https://git.example/soc/rules.git",
                f"+    revision: {NEW}",
                "+    token: ${env:TOKEN}",
                "+    enable:",
                "+    - tag:iam",
            ],
        ),
    ],
)
def test_only_the_lines_that_must_differ_do(change: Change, diff: list[str]) -> None:
    assert touched(BLOCK, after(BLOCK, change)) == diff


def test_a_section_that_is_not_there_is_put_last_behind_a_blank_line_where_the_file_has_some() -> None:
    text = "tables:\n  a:\n    path: x\n    # b: y\n\nschedule:\n  every: 5m\n  # poll: 1m\n# the end\n"
    result = after(text, Put(("packs", "aws"), {"source": "builtin:aws", "revision": NEW}))
    added = f"\npacks:\n  aws:\n    source: builtin:aws\n    revision: {NEW}\n"
    assert result == text.replace("# the end\n", f"{added}# the end\n")


@pytest.mark.parametrize("text", ["", "# only this\n", "packs:\n", "packs: # none yet\n  # soc:\n", "packs: {}\n"])
def test_the_first_pack_of_a_file(text: str) -> None:
    result = after(text, Put(("packs", "soc"), ENTRY))
    assert yaml.safe_load(result) == {"packs": {"soc": ENTRY}}
    assert all(line in result for line in text.splitlines() if "{}" not in line)


def test_flow_style_stays_flow_style() -> None:
    text = f"packs: {{aws: {{source: builtin:aws, revision: {OLD}, enable: [a, b, c]}}}}  # short\n"
    result = after(
        text,
        Remove((*PACK, "enable", 1)),
        Remove((*PACK, "enable", 1)),
        Append((*PACK, "enable"), "tag:iam"),
        Put(("packs", "soc"), ENTRY),
    )
    assert result == (
        f"packs: {{aws: {{source: builtin:aws, revision: {OLD}, enable: [a, tag:iam]}}, "
        f"soc: {{source: https://git.example/soc/rules.git, revision: {NEW}, token: '${{env:TOKEN}}', "
        "enable: [tag:iam]}}  # short\n"
    )


def test_a_flow_list_over_several_lines_loses_a_line_with_its_comment() -> None:
    text = (
        f"packs:\n  aws:\n    source: x\n    revision: {OLD}\n    enable: [\n      a,  # one\n      b,  # two\n    ]\n"
    )
    assert touched(text, after(text, Remove((*PACK, "enable", 1)))) == ["-      b,  # two"]
    assert touched(text, after(text, Remove((*PACK, "enable", 0)))) == ["-      a,  # one"]


def test_the_last_entry_takes_its_list_along() -> None:
    text = f"packs:\n  aws:\n    source: x\n    revision: {OLD}\n    enable:\n      - a\n"
    assert "enable" not in after(text, Remove((*PACK, "enable", 0), PACK))


def test_what_an_alias_stands_for_is_not_changed_in_passing() -> None:
    pack = f"{{source: x, revision: {OLD}, enable: *both}}"
    text = f"default_destinations: &both []\npacks:\n  aws: {pack}\n"
    with pytest.raises(TraplineError) as caught:
        after(text, Append((*PACK, "enable"), "tag:iam"))
    assert "trapline.yml:3: `packs.aws.enable` cannot be changed here" in caught.value.message
    assert "      - tag:iam" in caught.value.remedy


def test_an_anchor_that_others_refer_to_is_not_changed_for_them() -> None:
    one = f"  aws: &base\n    source: x\n    revision: {OLD}\n    enable: [a]\n"
    with pytest.raises(TraplineError, match=r"cannot be changed here"):
        after(f"packs:\n{one}  soc: *base\n", Append((*PACK, "enable"), "b"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("packs: {}\n---\npacks: {}\n", "trapline.yml:2: a second document begins here"),
        ("packs:\n\taws: {}\n", "trapline.yml:2: a tab where YAML wants spaces"),
        ("packs: {\n", "trapline.yml:2: not valid YAML"),
        ("packs: {aws: {source: x}}\n", "trapline.yml:1: .*revision"),
    ],
)
def test_a_broken_file_is_not_changed(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        after(text, Put(("packs", "soc"), ENTRY))
    assert caught.value.problems[0].remedy or caught.value.problems[0].code == "missing-key"


def test_what_would_break_it_is_no_result() -> None:
    with pytest.raises(SettingsError, match="full id of a commit"):
        after(BLOCK, Put((*PACK, "revision"), "main"))


def test_the_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "trapline.yml"
    file.write_text(BLOCK)
    file.chmod(0o640)
    save(file, b"new", before=BLOCK.encode())
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    file = tmp_path / "trapline.yml"
    save(file, b"new", before=b"")
    assert file.read_text() == "new"


def test_what_somebody_wrote_meanwhile_stays(tmp_path: Path) -> None:
    file = tmp_path / "trapline.yml"
    file.write_text("theirs")
    with pytest.raises(TraplineError, match="was changed meanwhile"):
        save(file, b"new", before=BLOCK.encode())
    assert file.read_text() == "theirs"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="cannot be written"):
        save(tmp_path / "gone" / "trapline.yml", b"new", before=b"")


SPACE = st.sampled_from(["", "  # why", "   # `a: b`, [c] and {d", " #"])
ABOVE = st.sampled_from(["", "", "# note\n", "\n", "\n# - x: y\n\n"])


@st.composite
def trapline_yml(draw: st.DrawFn) -> str:
    """A file with the packs `aws` and `b`, written in one of many ways."""
    step, dash = draw(st.sampled_from([1, 2, 3, 4])), draw(st.sampled_from([0, 2]))
    quote = draw(st.sampled_from(["", "'", '"']))
    pad = draw(st.integers(0, 3))
    ends = "\r\n" if draw(st.booleans()) else "\n"

    def line(level: int, text: str) -> str:
        above = draw(ABOVE)
        indent = " " * (step * level)
        comment = "".join(f"{indent}{one}" if one.strip() else one for one in above.splitlines(keepends=True))
        return f"{comment}{indent}{text}{draw(SPACE)}\n"

    def names() -> list[str]:
        return draw(st.lists(st.sampled_from(["x", "tag:iam", "attack:t1078", "y_1"]), max_size=3, unique=True))

    def entries(named: list[str]) -> str:
        if not named or draw(st.booleans()):
            return line(2, f"enable: [{', '.join(named)}]")
        deep = " " * (2 * step + dash)
        return line(2, "enable:") + "".join(f"{deep}- {quote}{name}{quote}{draw(SPACE)}\n" for name in named)

    def pack(name: str) -> str:
        parts = [
            line(2, f"source:{' ' * pad} builtin:aws"),
            line(2, f"revision: {quote}{OLD}{quote}"),
            entries(names()),
        ]
        if draw(st.booleans()):
            inner = line(3, "z:") + line(4, "severity: high") if draw(st.booleans()) else line(3, "z: {severity: low}")
            parts.append(line(2, "overrides:") + inner)
        if draw(st.booleans()):
            parts.append(line(2, "tables: {}"))
        return line(1, f"{name}:") + "".join(draw(st.permutations(parts)))

    sections = [
        line(0, "packs:") + pack("aws") + pack("b"),
        line(0, "schedule: {every: 5m}"),
        line(0, "destinations:")
        + line(1, "d:")
        + line(2, "type: console")
        + line(2, "note: |")
        + f"{' ' * 3 * step}a\n",
    ]
    text = "".join(draw(st.permutations(sections)))
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    return draw(st.sampled_from(["", "\ufeff"])) + text.replace("\n", ends)


def expected(data: Any, keys: Sequence[str | int], value: Any) -> Any:
    node = data
    for key in keys[:-1]:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
    node[keys[-1]] = value
    return data


@settings(deadline=None)
@given(text=trapline_yml(), pack=st.sampled_from(["aws", "b"]))
def test_however_it_is_written_a_pin_moves_in_its_line_alone(text: str, pack: str) -> None:
    keys = ("packs", pack, "revision")
    result = after(text, Put(keys, NEW))
    assert yaml.safe_load(result) == expected(yaml.safe_load(text), keys, NEW)
    assert len(result) == len(text)
    differing = [one for one, other in zip(text.splitlines(), result.splitlines(), strict=True) if one != other]
    assert len(differing) == 1


@settings(deadline=None)
@given(text=trapline_yml(), pack=st.sampled_from(["aws", "b"]))
def test_however_it_is_written_what_is_added_moves_nothing(text: str, pack: str) -> None:
    enabled = yaml.safe_load(text)["packs"][pack]["enable"]
    for change, keys, value in (
        (Put(("packs", "soc"), ENTRY), ("packs", "soc"), ENTRY),
        (Put(("packs", pack, "overrides", "n", "enabled"), False), ("packs", pack, "overrides", "n", "enabled"), False),
        (Append(("packs", pack, "enable"), "new"), ("packs", pack, "enable"), [*enabled, "new"]),
    ):
        result = after(text, change)
        assert yaml.safe_load(result) == expected(yaml.safe_load(text), keys, value)
        gone = [line for line in touched(text, result) if line.startswith("-")]
        assert not gone or all("[" in line for line in gone)  # a list in one line is longer now
        assert result.count("\r\n") in (0, result.count("\n"))
        assert result.endswith("\n") == text.endswith("\n")


@settings(deadline=None)
@given(text=trapline_yml(), pack=st.sampled_from(["aws", "b"]), data=st.data())
def test_however_it_is_written_what_is_taken_away_is_put_back_the_same(
    text: str, pack: str, data: st.DataObject
) -> None:
    where, names = ("packs", pack), ("packs", pack, "enable")
    enabled = yaml.safe_load(text)["packs"][pack]["enable"]
    result = after(text, Append(names, "last"), Remove((*names, len(enabled)), names))
    assert yaml.safe_load(result) == yaml.safe_load(text)
    assert result == text
    if enabled:
        index = data.draw(st.integers(0, len(enabled) - 1))
        result = after(text, Remove((*where, "enable", index), where))
        left = [*enabled[:index], *enabled[index + 1 :]]
        assert yaml.safe_load(result)["packs"][pack].get("enable", []) == left
        assert not [line for line in touched(text, result) if line.startswith("+") and "[" not in line]


BITS = st.sampled_from(
    ["\n", "  ", "#", "'", '"', "- ", ": ", "{", "}", "[", "]", ",", "&a ", "*a", "|\n", "\t", "? ", "é", "~"]
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BLOCK)), st.integers(0, 4), BITS), max_size=4))
def test_whatever_is_in_the_file_it_says_what_was_asked_for_or_that_it_cannot(cuts: list[tuple[int, int, str]]) -> None:
    text = BLOCK
    for at, length, bit in cuts:
        text = text[:at] + bit + text[at + length :]
    for change in (Put((*PACK, "revision"), NEW), Append((*PACK, "enable"), "x"), Put(("packs", "soc"), ENTRY)):
        try:
            result = yaml.safe_load(after(text, change))
        except TraplineError:
            continue
        value = change.value if isinstance(change, Put) else [*enabled_in(text), change.value]
        assert result == expected(yaml.safe_load(text) or {}, change.keys, value)


def enabled_in(text: str) -> list[str]:
    return ((yaml.safe_load(text)["packs"] or {}).get("aws") or {}).get("enable") or []
