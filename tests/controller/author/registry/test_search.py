"""`trapline registry search` and `show`, over the official pack and over indexes of anybody."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import git
import pytest
import yaml
from click.testing import CliRunner, Result

from tests.controller.author.registry.packs import Pack
from tests.controller.author.registry.shop import Answer, Shop, open_shop
from trapline.author.registry.find import Wanted
from trapline.author.registry.find import search as find
from trapline.author.registry.index import read
from trapline.cli import cli
from trapline.detection.model import Severity
from trapline.errors import TraplineError
from trapline.settings import SettingsError, parse
from trapline.settings.packs import BUILTIN

REVISION = "b" * 40


def entry(name: str, **more: Any) -> dict[str, Any]:
    quality = {"tests": 2, "finds": 1, "leaves": 1, "understood": "all", "runbook": True}
    known = {"severity": "low", "mode": "record", "license": "MIT", "path": name, "digest": "0" * 64}
    return {"name": name, **known, "quality": quality, **more}


def content(*entries: dict[str, Any], **pack: Any) -> bytes:
    said = {"name": "mine", "title": "Mine", "description": "", "license": "MIT"}
    said |= {"source": "https://example.org/mine.git", "revision": REVISION}
    return json.dumps({"format": 1, "pack": {**said, **pack}, "detections": entries}).encode()


def names(index: bytes, *words: str, **wanted: Any) -> list[str]:
    return [hit.entry.name for hit in find([read(index, "it")], words, Wanted(**wanted))]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def small_official(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of all detections takes a second to make; one test makes it."""
    official = read(content(entry("leave_organization", tags=["organizations"]), name="aws", source=BUILTIN), BUILTIN)
    monkeypatch.setattr("trapline.author.registry.gather.official_index", lambda cache: official)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repository" / "detections").mkdir(parents=True)
    return tmp_path / "repository"


def name_registries(repository: Path, *places: str, **more: Any) -> None:
    (repository / "trapline.yml").write_text(yaml.safe_dump({"registries": list(places), **more}))


def run(repository: Path, *arguments: str) -> Result:
    command = [*arguments, "--path", str(repository)]
    return CliRunner().invoke(cli, ["registry", *command], catch_exceptions=False)


def found(repository: Path, *arguments: str) -> list[str]:
    said = json.loads(run(repository, "search", *arguments, "--json").stdout)
    return [f"{one['pack']['name']}/{one['name']}" for one in said["detections"]]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["login"], ["login", "root_login", "tagged", "said", "blogins"]),
        (["LOGIN", "root"], ["root_login"]),
        (["login root"], ["root_login"]),
        (["nowhere"], []),
        (["t1078"], ["attacked"]),
        (["t1078.004"], ["attacked"]),
        (["ta0001"], ["attacked"]),
        (["t107"], []),
        (["okta_log"], ["tabled"]),
        ([], ["attacked", "blogins", "login", "root_login", "said", "tabled", "tagged"]),
    ],
)
def test_the_best_comes_first(words: list[str], order: list[str]) -> None:
    index = content(
        entry("blogins"),
        entry("said", description="Somebody's login is odd.", display_name="Odd login"),
        entry("tagged", tags=["login"], description="A login."),
        entry("attacked", attack=["ta0001:t1078.004"]),
        entry("tabled", tables=["okta_log"]),
        entry("root_login"),
        entry("login"),
    )
    assert sorted(names(index, *words)) == sorted(order)
    assert names(index, *words)[:2] == order[:2]


def test_filters() -> None:
    index = content(
        entry("a", tags=["iam", "x"], attack=["ta0001:t1078"], severity="high", tables=["one"]),
        entry("b", tags=["s3"], attack=["t1530"], severity="medium", tables=["two", "one"]),
        entry("c", severity="info", tables=["two"]),
    )
    assert names(index, tags=["iam", "s3"]) == ["a", "b"]
    assert names(index, attack=["T1078"]) == ["a"]
    assert names(index, severity=Severity.MEDIUM) == ["a", "b"]
    assert names(index, tables=["two"]) == ["b", "c"]
    assert names(index, "iam", tables=["two"]) == []


def test_the_official_pack_is_always_there(repository: Path) -> None:
    assert found(repository, "organizations") == ["aws/leave_organization"]


def test_indexes_of_the_web_and_of_the_repository(repository: Path, shop: Shop) -> None:
    shop.answers["/index.json"] = Answer(content(entry("leave_by_web", tags=["organizations"])))
    (repository / "own.json").write_bytes(content(entry("leave_by_path", tags=["organizations"]), name="own"))
    name_registries(repository, f"{shop.url}/index.json", "own.json")
    expected = ["aws/leave_organization", "mine/leave_by_web", "own/leave_by_path"]
    assert found(repository, "leave") == expected
    result = run(repository / "detections", "search", "--tag", "organizations")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["DETECTION", *expected, "3"]
    assert len(shop.asked) == 2
    assert found(repository, "leave", "--offline") == expected
    assert len(shop.asked) == 2


def test_what_is_broken_is_told_and_stops_nothing_else(repository: Path, shop: Shop) -> None:
    shop.answers["/good"] = Answer(content(entry("leave")))
    shop.answers["/broken"] = Answer(b"no")
    name_registries(repository, f"{shop.url}/broken", f"{shop.url}/gone", "missing.json", f"{shop.url}/good")
    result = run(repository, "search", "leave")
    assert result.exit_code == 1
    assert "mine/leave" in result.stdout
    for place in (f"{shop.url}/broken cannot be read", f"{shop.url}/gone cannot be fetched", "missing.json"):
        assert place in result.stderr
    said = json.loads(run(repository, "search", "leave", "--json").stdout)["indexes"]
    assert [(one["index"].rpartition("/")[2], one["detections"], bool(one["problem"])) for one in said] == [
        (BUILTIN, 1, False),
        ("broken", None, True),
        ("gone", None, True),
        ("missing.json", None, True),
        ("good", 1, False),
    ]


def test_what_was_kept_is_used_and_its_age_said(repository: Path) -> None:
    with open_shop() as shop:
        shop.answers["/i"] = Answer(content(entry("leave")))
        name_registries(repository, f"{shop.url}/i")
        assert found(repository, "leave") == ["aws/leave_organization", "mine/leave"][::-1]
    result = run(repository, "search", "leave")
    assert result.exit_code == 0
    assert "cannot be fetched" in result.stderr
    assert f"{shop.url}/i is looked through as it was " in result.stderr
    assert "mine/leave" in result.stdout


@pytest.mark.parametrize("command", ["search", "show"])
def test_no_index_speaks_to_the_terminal(repository: Path, command: str) -> None:
    evil = "\x1b]0;owned\x07\x1b[31m\u202eleave\nfaked: line"
    hostile = content(
        entry("leave", **dict.fromkeys(("display_name", "description", "schedule", "license", "path"), evil))
        | {key: [evil] for key in ("tags", "attack", "tables", "references", "requirements")},
        title=evil,
        description=evil,
        authors=[evil],
        tables={evil: evil},
    )
    (repository / "own.json").write_bytes(hostile)
    name_registries(repository, "own.json")
    result = run(repository, command, "leave")
    assert result.exit_code == 0
    for character in result.output:
        assert character == "\n" or character.isprintable()
    assert "\u202e" not in result.output
    assert "owned" not in result.output
    assert "leave" in result.stdout
    assert not any(line.startswith("faked") for line in result.output.splitlines())


def test_all_that_is_known_is_shown(repository: Path) -> None:
    known = entry(
        "leave",
        display_name="Leaving",
        description="Somebody leaves.\n\nThat is odd.",
        attack=["ta0005:t1562"],
        tags=["organizations"],
        tables=["logs"],
        requirements=["defusedxml==0.7.1"],
        references=["https://example.org/why"],
        schedule="every 1h",
        realtime=True,
    )
    pack = {"tables": {"logs": "what happens"}, "authors": ["Ann"], "root": "packs/mine"}
    (repository / "own.json").write_bytes(content(known, **pack))
    name_registries(repository, "own.json")
    result = run(repository, "show", "mine/leave")
    assert (result.exit_code, result.stderr) == (0, "")
    for word in (
        *("mine/leave  Leaving", "  Somebody leaves.", "ta0005:t1562", "organizations", "logs: what happens"),
        *("defusedxml==0.7.1", "https://example.org/why", "on each record, every 1h, in real time", "by Ann"),
        *("2: 1 of what it finds, 1 of what it leaves alone", "MIT", REVISION, "https://example.org/mine.git"),
    ):
        assert word in result.stdout
    lines = result.stdout.partition("or write into trapline.yml:\n")[2].partition("  and beneath")[0]
    settings, _ = parse(lines.encode())
    pack = settings.packs["mine"]
    assert (pack.source, pack.revision, pack.root) == ("https://example.org/mine.git", REVISION, "packs/mine")
    assert pack.enable == ("leave",)
    assert "called otherwise here: logs" in result.stdout


def test_what_is_shown_of_a_pack_that_is_used_is_the_command(repository: Path) -> None:
    (repository / "own.json").write_bytes(content(entry("leave")))
    pack = {"source": "https://example.org/mine.git", "revision": REVISION}
    name_registries(repository, "own.json", packs={"theirs": pack})
    assert run(repository, "show", "leave").stdout.endswith("  trapline registry enable theirs/leave\n")


def test_a_pack_that_nobody_can_have_is_said_to_be_so(repository: Path) -> None:
    (repository / "own.json").write_bytes(content(entry("leave"), source=None, revision=None))
    name_registries(repository, "own.json")
    assert "does not say where the pack can be had" in run(repository, "show", "leave").stdout


def test_what_can_be_copied_does_nothing_else(repository: Path) -> None:
    source = "https://example.org/$(id);x'\"#.git"
    (repository / "own.json").write_bytes(content(entry("leave"), source=source))
    name_registries(repository, "own.json")
    use, _, text = run(repository, "show", "leave").stdout.partition("or write into trapline.yml:\n")
    assert parse(text.encode())[0].packs["mine"].source == source
    assert shlex.split(use.partition("to use it\n")[2])[:4] == ["trapline", "registry", "add", source]


def test_where_several_packs_have_one_all_are_shown(repository: Path) -> None:
    (repository / "own.json").write_bytes(content(entry("leave_organization")))
    name_registries(repository, "own.json")
    for name, packs in (("leave_organization", ["aws", "mine"]), ("mine/leave_organization", ["mine"])):
        said = json.loads(run(repository, "show", name, "--json").stdout)
        assert [one["pack"]["name"] for one in said] == packs


def test_what_nobody_has_is_told_with_what_comes_near(repository: Path) -> None:
    with pytest.raises(TraplineError) as caught:
        run(repository, "show", "leave_organisation")
    assert "did you mean `leave_organization`?" in caught.value.remedy


@pytest.mark.parametrize(
    "place",
    [
        "http://example.org/i",
        "https://",
        "ftp://example.org/i",
        "https://user:token@example.org/i",
        "https://token@example.org/i",
        "https://[::1/i",
        "",
    ],
)
def test_a_place_that_is_none_is_refused_with_its_line(place: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(yaml.safe_dump({"registries": ["index.json", place]}).encode())
    [problem] = caught.value.problems
    assert (problem.line, problem.code) == (3, "invalid-value")
    assert "token@" not in problem.message


def test_what_is_shown_puts_the_detection_to_use(repository: Path, tmp_path: Path) -> None:
    pack = Pack(tmp_path / "their own packs" / "mine")
    made = git.Repo.init(pack.root.parent)
    made.git.add(all=True)
    made.git.execute(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "All"])
    command = ["registry", "index", str(pack.root), "--source", f"file://{tmp_path}/their%20own%20packs"]
    assert CliRunner().invoke(cli, [*command, "-o", str(repository / "theirs.json")]).exit_code == 0
    name_registries(repository, "theirs.json", tables={"logs": {"path": "logs"}})
    [line] = [line for line in run(repository, "show", "bad_action").stdout.splitlines() if "registry add" in line]
    assert run(repository, *shlex.split(line)[2:]).exit_code == 0
    used = parse((repository / "trapline.yml").read_bytes())[0].packs["mine"]
    assert (used.revision, used.root, used.enable) == (made.head.commit.hexsha, "mine", ("bad_action",))
    assert "trapline registry enable mine/bad_action" in run(repository, "show", "bad_action").stdout
