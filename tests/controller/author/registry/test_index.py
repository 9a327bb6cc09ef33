"""An index: written from a pack, read back as it was, and refused where it is not one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import git
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.controller.author.registry.packs import CONFIG, SCRIPT, Pack
from trapline.author.checkout import Checkout
from trapline.author.registry.describe import index_of
from trapline.author.registry.index import (
    MAX_BYTES,
    MAX_COMMAS,
    MAX_DETECTIONS,
    MAX_LINE,
    BrokenIndex,
    Entry,
    Index,
    Quality,
    read,
    written,
)
from trapline.author.registry.index import Pack as OfPack
from trapline.cli import cli
from trapline.detection.model import Mode, Severity
from trapline.errors import TraplineError
from trapline.packs.manifest import load

SOURCE, REVISION = "https://example.org/mine.git", "a" * 40

LINES = st.tuples() | st.lists(st.text(max_size=20), max_size=5).map(tuple)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
ENTRIES = st.builds(
    Entry,
    name=NAMES,
    display_name=st.text(max_size=50),
    description=st.text(max_size=200),
    tags=LINES,
    attack=LINES,
    severity=st.sampled_from(Severity),
    tables=LINES,
    mode=st.sampled_from(Mode),
    realtime=st.booleans(),
    schedule=st.text(max_size=20),
    requirements=LINES,
    license=st.text(max_size=20),
    references=LINES,
    path=st.text(max_size=50),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    quality=st.builds(
        Quality,
        tests=st.integers(0, 1_000_000),
        finds=st.integers(0, 9),
        leaves=st.integers(0, 9),
        understood=st.sampled_from(["all", "part", "none"]),
        runbook=st.booleans(),
    ),
)
INDEXES = st.builds(
    Index,
    pack=st.builds(
        OfPack,
        name=st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True).filter(lambda name: name != "trapline"),
        title=st.text(max_size=50),
        description=st.text(max_size=200),
        license=st.text(max_size=20),
        homepage=st.none() | st.just("https://example.org/"),
        authors=LINES,
        tables=st.dictionaries(st.text(max_size=10), st.text(max_size=50), max_size=3),
        source=st.none() | st.sampled_from([SOURCE, "git@example.org:mine.git", "builtin:aws"]),
        revision=st.none() | st.just(REVISION),
        root=st.sampled_from(["", "packs/mine", "ä b"]),
    ),
    detections=st.lists(ENTRIES, max_size=3).map(tuple),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def plain() -> dict[str, Any]:
    """What an index says at the least, as plain values."""
    quality = {"tests": 2, "finds": 1, "leaves": 1, "understood": "all", "runbook": True}
    entry = {"name": "a", "severity": "high", "mode": "record", "license": "MIT", "path": "a", "digest": "0" * 64}
    pack = {"name": "mine", "title": "Mine", "description": "", "license": "MIT"}
    return {"format": 1, "pack": pack, "detections": [{**entry, "quality": quality}]}


def index(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["registry", "index", str(path), *arguments], catch_exceptions=False)


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return Pack(tmp_path / "pack")


def commit(pack: Pack, *, origin: str = SOURCE) -> str:
    repository = git.Repo.init(pack.root)
    repository.git.add(all=True)
    repository.git.execute(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "All"])
    repository.create_remote("origin", origin)
    return repository.head.commit.hexsha


@given(INDEXES)
def test_what_is_written_is_read(made: Index) -> None:
    assert read(written(made).encode(), "here") == made


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_index_is_told_so(content: bytes) -> None:
    with pytest.raises(BrokenIndex, match="here"):
        read(content, "here")


@given(st.data())
def test_whatever_stands_in_a_place_it_is_read_or_told(data: st.DataObject) -> None:
    text = plain()
    place = data.draw(st.sampled_from([text, text["pack"], text["detections"][0], text["detections"][0]["quality"]]))
    place[data.draw(st.sampled_from([*place, "\x1b[31m"]))] = data.draw(JSON)
    try:
        found = read(json.dumps(text).encode(), "here")
    except BrokenIndex as error:
        assert str(error).isprintable()
    else:
        assert read(written(found).encode(), "here") == found


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), 2),
        (("pack", "name"), "Mine; rm"),
        (("pack", "name"), "mine\n"),
        (("pack", "title"), "x" * (MAX_LINE + 1)),
        (("pack", "source"), "ext::sh -c id"),
        (("pack", "source"), "--upload-pack=id"),
        (("pack", "source"), "https://example.org/a b"),
        (("pack", "revision"), "main"),
        (("pack", "root"), "../other"),
        (("pack", "root"), "/etc"),
        (("pack", "root"), "a\nb"),
        (("pack", "homepage"), "javascript:alert(1)"),
        (("pack", "tables"), {"x": "y" * 5000}),
        (("detections", 0, "name"), "a/b"),
        (("detections", 0, "name"), "../a"),
        (("detections", 0, "tags"), ["x"] * 101),
        (("detections", 0, "severity"), "loud"),
        (("detections", 0, "quality", "tests"), "2"),
        (("detections", 0, "quality", "tests"), 10**30),
        (("detections",), None),
    ],
)
def test_what_is_out_of_bounds_is_refused(keys: tuple[str | int, ...], value: object) -> None:
    text: Any = plain()
    assert read(json.dumps(text).encode(), "here")
    part = text
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    with pytest.raises(BrokenIndex):
        read(json.dumps(text).encode(), "here")


def test_many_mistakes_are_no_more_work_than_one() -> None:
    text = plain() | {"detections": [1] * 1000}
    text["pack"]["authors"] = [1] * 1000
    with pytest.raises(ValidationError) as caught:
        Index.model_validate_json(json.dumps(text))
    assert caught.value.error_count() == 2


def test_a_key_of_a_later_time_is_passed_over() -> None:
    text = plain()
    text["pack"]["stars"] = 5
    assert read(json.dumps(text).encode(), "here") == read(json.dumps(plain()).encode(), "here")


@pytest.mark.parametrize("content", [b"[" * 1_000_000, b'{"format": 2}'])
def test_what_is_deep_or_newer_is_told(content: bytes) -> None:
    with pytest.raises(BrokenIndex):
        read(content, "here")


def test_what_is_large_or_in_many_parts_is_not_looked_into() -> None:
    good = json.dumps(plain()).encode()
    for content in (
        good + b" " * MAX_BYTES,
        good.replace(b'"format"', b'"x": [' + b"1," * MAX_COMMAS + b'1], "format"'),
    ):
        with pytest.raises(BrokenIndex, match="larger than 16 MiB, or than 5,000 detections"):
            read(content, "here")


def test_a_pack_that_nobody_could_read_has_no_index(pack: Pack) -> None:
    detections = Checkout.around(pack.root).loaded.detections * (MAX_DETECTIONS + 1)
    manifest, _ = load(Checkout.around(pack.root).tree.files)
    with pytest.raises(TraplineError, match="5,001 detections"):
        index_of(manifest, detections, source=SOURCE, revision=REVISION)


def test_the_index_says_what_is_known(pack: Pack) -> None:
    pack.write("detections/bad_action/requirements.txt", "# why\ndefusedxml == 0.7.1\n")
    pack.detection(schedule={"every": "90m"}, realtime=True)
    revision = commit(pack)
    result = index(pack.root)
    assert (result.exit_code, result.stderr) == (0, "")
    found = read(result.stdout.encode(), "it")
    assert (found.pack.source, found.pack.revision, found.pack.root) == (SOURCE, revision, "")
    [entry] = found.detections
    assert entry.model_dump(mode="json", exclude={"digest"}) == {
        **{key: CONFIG[key] for key in ("name", "display_name", "description", "tags", "tables", "references")},
        "attack": ["ta0001:t1078.004"],
        "severity": "high",
        "mode": "record",
        "realtime": True,
        "schedule": "every 1h30m",
        "requirements": ["defusedxml==0.7.1"],
        "license": "MIT",
        "path": "detections/bad_action",
        "quality": {"tests": 2, "finds": 1, "leaves": 1, "understood": "all", "runbook": True},
    }


@pytest.mark.parametrize(
    ("script", "understood"),
    [
        (SCRIPT, "all"),
        ('def detect(record):\n    return record.get("a") == "x" and hash(record.get("b")) > 1\n', "part"),
        ('def detect(record):\n    return hash(record.get("b")) > 1\n', "none"),
    ],
)
def test_how_much_of_the_rule_is_understood(pack: Pack, script: str, understood: str) -> None:
    pack.detection(script)
    [entry] = made(pack).detections
    assert entry.quality.understood == understood


def made(pack: Pack) -> Index:
    checkout = Checkout.around(pack.root)
    manifest, _ = load(checkout.tree.files)
    return index_of(manifest, checkout.loaded.detections, source=SOURCE, revision=REVISION)


def test_a_digest_is_of_every_file(pack: Pack) -> None:
    digests = {made(pack).detections[0].digest}
    pack.write("detections/bad_action/names.txt", "one\n")
    digests.add(made(pack).detections[0].digest)
    (pack.root / "detections/bad_action/names.txt").chmod(0o755)
    digests.add(made(pack).detections[0].digest)
    assert len(digests) == 3


def test_texts_are_cut_to_what_is_read(pack: Pack) -> None:
    pack.detection(description="x" * 10_000, tags=["t"] * 200, references=["r" * 1000])
    [entry] = read(written(made(pack)).encode(), "it").detections
    assert (len(entry.description), len(entry.tags), len(entry.references[0])) == (4000, 100, 500)


def test_it_is_the_same_for_the_same_commit(pack: Pack, tmp_path: Path) -> None:
    pack.detection(name="another")
    commit(pack)
    assert index(pack.root).stdout == index(pack.root).stdout
    result = index(pack.root, "-o", str(tmp_path / "index.json"))
    assert result.stdout == f"{tmp_path / 'index.json'}: mine, 2 detections\n"
    found = read((tmp_path / "index.json").read_bytes(), "it")
    assert [entry.name for entry in found.detections] == ["another", "bad_action"]


def test_a_pack_in_a_folder_says_where_it_lies(tmp_path: Path) -> None:
    inside = Pack(tmp_path / "all" / "packs" / "mine")
    whole = Pack(tmp_path / "all")
    commit(whole)
    assert read(index(inside.root).stdout.encode(), "it").pack.root == "packs/mine"


def test_where_it_is_from_can_be_said(pack: Pack) -> None:
    found = read(index(pack.root, "--source", SOURCE, "--revision", REVISION).stdout.encode(), "it")
    assert (found.pack.source, found.pack.revision) == (SOURCE, REVISION)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", SOURCE], "no commit"),
        (["--revision", REVISION], "no remote"),
        (["--source", SOURCE, "--revision", "main"], "not the full id of a commit"),
        (["--source", "ext::sh -c id", "--revision", REVISION], "refused"),
    ],
)
def test_what_others_could_not_have_is_refused(pack: Pack, arguments: list[str], said: str) -> None:
    git.Repo.init(pack.root)
    with pytest.raises(TraplineError, match=said):
        index(pack.root, *arguments)


def test_what_is_not_committed_is_not_told_of(pack: Pack) -> None:
    commit(pack)
    pack.write("notes.txt", "x")
    assert index(pack.root).exit_code == 0
    pack.write("lib/new.py", "")
    with pytest.raises(TraplineError, match="changes that its commit has not"):
        index(pack.root)


def test_a_token_in_the_remote_is_not_published(pack: Pack) -> None:
    commit(pack, origin="https://user:secret@example.org/mine.git")
    with pytest.raises(TraplineError, match="password or token") as caught:
        index(pack.root)
    assert "secret" not in str(caught.value)


def test_a_pack_that_does_not_load_has_no_index(pack: Pack) -> None:
    pack.write("detections/other/detect.py", "x")
    with pytest.raises(TraplineError, match="1 detection cannot be loaded"):
        index(pack.root, "--source", SOURCE, "--revision", REVISION)
