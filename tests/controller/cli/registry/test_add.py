"""`trapline registry add`: what may be used is added with its pin, and nothing else is."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from tests.git_server import Forge, serving
from trapline.cli import cli
from trapline.errors import TraplineError
from trapline.settings import SettingsError

if TYPE_CHECKING:
    from .conftest import Both

MINE = "default_destinations: [terminal]\n"


def entry(both: Both, name: str = "acme") -> Any:
    return yaml.safe_load(both.text)["packs"][name]


def refused(both: Both, *arguments: str) -> TraplineError:
    """The error; trapline.yml is as it was."""
    before = both.text
    with pytest.raises(TraplineError) as caught:
        both.run("add", *arguments)
    assert both.text == before
    return caught.value


def test_a_pack_is_pinned_to_where_it_is_now(both: Both) -> None:
    before = both.text
    said = both.run("add", both.source, "--name", "acme").stdout
    assert said == (
        f"added acme, pinned to {both.pin[:12]} of {both.source}\n"
        "  Acme's detections; its licence is Apache-2.0\n"
        "  3 detections, 0 of them run here\n"
        "turn some on: `trapline registry enable acme/loud`\n"
    )
    added = f"\npacks:\n  acme:\n    source: {both.source}\n    revision: {both.pin}\n"
    assert both.text == before + added


def test_what_is_asked_for_runs(both: Both) -> None:
    said = both.run("add", both.source, "--name", "acme", "--enable", "tag:iam", "--enable", "third").stdout
    assert "3 detections, 3 of them run here\ncommit trapline.yml and merge it" in said
    assert entry(both)["enable"] == ["tag:iam", "third"]


def test_the_name_is_that_of_the_repository(both: Both, tmp_path: Path) -> None:
    both.theirs.repository.rename(tmp_path / "Acme Rules.git")
    both.run("add", str(tmp_path / "Acme Rules.git"))
    assert list(yaml.safe_load(both.text)["packs"]) == ["acme-rules"]


def test_an_older_commit_and_a_branch_may_be_asked_for(both: Both) -> None:
    first = both.pin
    both.theirs.commit()
    both.run("add", both.source, "--name", "old", "--revision", first)
    both.run("add", both.source, "--name", "new", "--ref", "main")
    assert entry(both, "old")["revision"] == first
    assert (entry(both, "new")["revision"] != first, entry(both, "new")["ref"]) == (True, "main")


def test_the_official_pack_needs_no_network(both: Both) -> None:
    both.write(both.text.replace("logs:", "aws_cloudtrail:"))
    said = both.run("add", "builtin:aws", "--enable", "severity:critical").stdout
    assert "added aws, pinned to " in said
    assert "Apache-2.0" in said
    assert entry(both, "aws")["source"] == "builtin:aws"


def test_tables_that_are_called_otherwise_here_are_told(both: Both) -> None:
    both.write(both.text.replace("logs:", "other:"))
    said = both.run("add", both.source, "--name", "acme")
    assert "it reads tables that trapline.yml does not name: logs" in said.stderr
    assert "`packs.acme.tables`" in said.stderr


def test_without_a_pack_yml_nobody_told_the_licence(both: Both) -> None:
    both.theirs.remove("pack.yml")
    both.theirs.commit()
    assert "no pack.yml that says its licence" in both.run("add", both.source, "--name", "acme").stderr


def test_what_a_pack_says_of_itself_moves_no_cursor(both: Both) -> None:
    both.theirs.write("pack.yml", 'name: acme\ntitle: "A\\e[2Jclean"\ndescription: x\nlicense: MIT\n')
    both.theirs.commit()
    assert "\x1b" not in both.run("add", both.source, "--name", "acme").output


def test_a_signed_pack_is_verified_before_it_is_added(both: Both, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a@example.com", "-f", key], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"# whom we trust\na@example.com {key.with_suffix('.pub').read_text()}")
    error = refused(both, both.source, "--name", "acme", "--verify-ssh", str(signers))
    assert "is not verified: it has no signature" in error.message
    both.theirs.commit(sign=key)
    said = both.run("add", both.source, "--name", "acme", "--verify-ssh", str(signers)).stdout
    assert "whose signature is good" in said
    assert entry(both)["verify"]["ssh"] == signers.read_text().strip()
    assert "    verify:\n      ssh: |-\n        # whom we trust\n        a@example.com ssh-ed25519 " in both.text
    both.run("list", "--check")


def test_a_private_pack_is_read_with_a_token_that_is_not_written_down(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    users = {"x-access-token:right"}
    folder = both.theirs.repository
    with serving(Forge(folder.parent, users=users), repository=f"{folder.name}/.git") as forge:
        assert "`token` of the pack" in refused(both, forge.url, "--name", "acme").remedy
        unset = refused(both, forge.url, "--name", "acme", "--token", "${env:PACK_TOKEN}")
        assert "PACK_TOKEN" in unset.message
        monkeypatch.setenv("PACK_TOKEN", "right")
        both.run("add", forge.url, "--name", "acme", "--token", "${env:PACK_TOKEN}", "--enable", "all")
    assert "    token: ${env:PACK_TOKEN}\n" in both.text
    assert "right" not in both.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("https://me:secret@git.example/x",), "a secret does not belong into trapline.yml: https://***@git.example/x"),
        (("https://secret@git.example/x",), "a secret does not belong into trapline.yml: https://***@git.example/x"),
        (("https://git.example/x", "--token", "ghp_secret"), "a token does not belong into trapline.yml"),
        (("https://git.example/x", "--token", "Bearer ${env:A}"), "a token does not belong into trapline.yml"),
        (("https://git.example/x", "--token", "${nix:A}"), "a token does not belong into trapline.yml"),
        (("ext::sh -c id",), "the repository URL 'ext::sh -c id' is refused"),
        (("https://git.example/x", "--name", "Acme"), "a pack's name is small letters"),
        (("https://git.example/x", "--revision", "main"), "a pack is pinned to the full id of a commit"),
        (("https://git.example/x", "--enable", "tga:iam"), "`tga:iam` is neither a name nor one of tag:"),
        (("https://git.example/",), "git.example"),
    ],
)
def test_what_is_no_pack_or_a_secret_is_refused_before_anybody_is_asked(
    both: Both, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    error = refused(both, *arguments)
    assert said in error.message
    assert "secret" not in f"{error.message} {error.remedy}".replace("a secret", "").replace("secretsmanager", "")


def test_unknown_names_are_refused(both: Both) -> None:
    error = refused(both, both.source, "--name", "acme", "--enable", "lod")
    assert error.message == "the pack has no detection `lod`"
    assert "did you mean `loud`?" in error.remedy


def test_a_repository_without_detections_is_no_pack(both: Both) -> None:
    both.theirs.remove("detections")
    both.theirs.commit()
    error = refused(both, both.source, "--name", "acme")
    assert error.message == f"{both.source} has no detections that can be used"
    assert "--root" in error.remedy


def test_a_pack_of_which_nothing_loads_is_not_added(both: Both) -> None:
    for name in ("quiet", "loud", "third"):
        both.theirs.detection(name, "def detect(record:\n")
    both.theirs.commit()
    assert "its first problem: packs/acme/detections/" in refused(both, both.source, "--name", "acme").remedy


def test_a_pack_in_a_folder(both: Both) -> None:
    both.theirs.move("detections", "moved")
    (both.theirs.repository / "sub").mkdir()
    both.theirs.move("moved", "sub/detections")
    both.theirs.move("lib", "sub/lib")
    both.theirs.commit()
    said = both.run("add", both.source, "--name", "acme", "--root", "sub").stdout
    assert "3 detections" in said
    assert entry(both)["root"] == "sub"


def test_a_name_is_taken_once(both: Both) -> None:
    both.use()
    error = refused(both, both.source, "--name", "acme")
    assert "trapline.yml has a pack `acme` already" in error.message
    assert "trapline registry update acme" in error.remedy


def test_a_broken_trapline_yml_is_said_and_left(both: Both) -> None:
    both.write("tables: [\n")
    before = both.text
    with pytest.raises(SettingsError):
        both.run("add", both.source, "--name", "acme")
    assert both.text == before


def test_where_there_is_no_trapline_yml_one_is_made(both: Both) -> None:
    (both.own.repository / "trapline.yml").unlink()
    said = both.run("add", both.source, "--name", "acme").stdout
    assert said.startswith(f"made {both.own.repository / 'trapline.yml'}\n")
    assert list(yaml.safe_load(both.text)) == ["packs"]


def test_a_link_in_its_place_is_left_alone(both: Both, tmp_path: Path) -> None:
    file = both.own.repository / "trapline.yml"
    file.rename(tmp_path / "real.yml")
    file.symlink_to(tmp_path / "real.yml")
    assert "is a symbolic link" in refused(both, both.source, "--name", "acme").message
    assert file.is_symlink()


def index(both: Both, *arguments: str) -> str:
    """Adds an index of the pack to those that are looked through."""
    name = f"index{len(both.settings.registries)}.json"
    command = ["registry", "index", str(both.theirs.repository), "-o", str(both.own.repository / name), *arguments]
    assert CliRunner().invoke(cli, command, catch_exceptions=False).exit_code == 0
    both.write(
        both.text.partition("registries:")[0] + f"registries: [{', '.join([*both.settings.registries, name])}]\n"
    )
    return name


def test_a_pack_is_added_by_its_name_as_an_index_has_it(both: Both) -> None:
    index(both, "--source", both.source)
    both.theirs.commit()
    both.run("add", "acme", "--enable", "loud")
    assert entry(both) == {"source": both.source, "revision": both.pin, "enable": ["loud"]}
    both.run("add", "acme", "--name", "newer", "--ref", "main")
    assert entry(both, "newer")["revision"] != both.pin


def test_the_official_pack_has_a_name(both: Both) -> None:
    both.run("add", "aws")
    assert entry(both, "aws")["source"] == "builtin:aws"


def test_a_name_that_no_index_has(both: Both) -> None:
    index(both, "--source", both.source)
    error = refused(both, "acmee")
    assert error.message == "no index has a pack `acmee`"
    assert error.remedy.startswith("did you mean `acme`?")


def test_a_name_that_two_sources_have_is_nobodys(both: Both) -> None:
    index(both, "--source", both.source)
    index(both, "--source", "https://git.example/other.git")
    error = refused(both, "acme")
    assert f"several have one: {both.source}, https://git.example/other.git" in error.message
