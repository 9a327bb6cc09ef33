"""Packs on the disk: what is fetched once is there without its source, and each has its own place."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packed import Both
from tests.playground import MATCH_BAD
from trapline.errors import TraplineError
from trapline.packs import builtin
from trapline.packs.store import PackStore
from trapline.settings import PackSettings
from trapline.source.tree import SourceError


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return PackStore(tmp_path / "packs")


def entry(both: Both, **changes: object) -> PackSettings:
    fields = {"source": str(both.theirs.repository), "revision": both.pin, **changes}
    return PackSettings.model_validate(fields)


def head_of(repository: Path) -> str:
    command = ["git", f"--git-dir={repository}", "rev-parse", "refs/heads/main"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_was_fetched_is_there_without_its_source(both: Both, store: PackStore, tmp_path: Path) -> None:
    pack = entry(both)
    assert not store.has(pack)
    with pytest.raises(SourceError, match="was not fetched yet"):
        store.tree(pack)
    store.fetch(pack, env={})
    shutil.rmtree(both.theirs.repository)
    for again in (store, PackStore(tmp_path / "packs")):
        again.fetch(pack, env={})  # it is there: nobody is asked
        assert again.has(pack)
        assert again.tree(pack).revision == both.pin
        assert "detections/loud/detect.py" in again.tree(pack).files
    with pytest.raises(SourceError):
        store.tip(pack, env={})


def test_the_tip_moves_and_the_pin_does_not(both: Both, store: PackStore) -> None:
    pack = entry(both)
    assert store.tip(pack, env={}) == both.pin
    both.theirs.detection("loud", f"{MATCH_BAD}  # later\n")
    later = both.theirs.commit()
    assert store.tip(pack, env={}) == later
    moved = entry(both, revision=later)
    assert store.ahead(pack, later) == 1
    assert store.ahead(moved, both.pin) is None
    script = "detections/loud/detect.py"
    assert store.tree(pack).files[script] != store.tree(moved).files[script]


def test_a_folder_as_its_root(both: Both, store: PackStore) -> None:
    both.theirs.write("deep/er/detections/x/detection.yml", "name: x\ntables: [logs]\n")
    both.pin = both.theirs.commit()
    pack = entry(both, root="deep/er")
    store.fetch(pack, env={})
    assert list(store.tree(pack).files) == ["detections/x/detection.yml"]


@pytest.mark.parametrize("root", ["..", "/etc", "detections/../..", "nothing", "trapline.yml"])
def test_a_root_leads_nowhere_else(both: Both, store: PackStore, root: str) -> None:
    pack = entry(both, root=root)
    store.fetch(pack, env={})
    with pytest.raises(SourceError) as caught:
        store.tree(pack)
    assert caught.value.code == "no-such-root"
    assert "--root" not in caught.value.remedy


@pytest.mark.parametrize("ref", ["--upload-pack=touch x", "a..b", "refs/heads/*", "x y", "@{-1}"])
def test_what_is_no_ref(both: Both, store: PackStore, ref: str) -> None:
    with pytest.raises(SourceError, match="is no name of a branch"):
        store.fetch(entry(both, ref=ref), env={})


def test_keys_are_written_once_and_whole(both: Both, store: PackStore, tmp_path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"]
    subprocess.run(command, check=True)
    signers = f"a@example.com {(tmp_path / 'key.pub').read_text()}"
    both.pin = both.theirs.commit(sign=tmp_path / "key")
    pack = entry(both, verify={"ssh": signers})
    store.fetch(pack, env={})
    assert store.tree(pack).revision == both.pin
    [keys] = (tmp_path / "packs").glob("keys-*")
    assert keys.read_text() == signers
    assert not list((tmp_path / "packs").glob(".*"))
    untrusting = entry(both, verify={"ssh": f"b@example.com {'ssh-ed25519 ' + 'A' * 68}\n"})
    with pytest.raises(SourceError) as caught:
        store.tree(untrusting)
    assert caught.value.code == "unverified"
    assert str(tmp_path) not in f"{caught.value.message}{caught.value.remedy}".replace(str(both.theirs.repository), "")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack that is installed, in place of the official one."""
    folder = tmp_path / "installed"
    for name, text in {
        "detections/a/detection.yml": "name: a\n",
        "lib/b.py": "B = 1\n",
        "pack.yml": "name: aws\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(builtin, "_INSTALLED", folder)
    return folder


def test_equal_files_are_the_same_commit_everywhere(installed: Path, tmp_path: Path) -> None:
    for place in ("one", "two"):
        builtin.make_repository(tmp_path / place / "x.git", timeout=60)
    one = head_of(tmp_path / "one/x.git")
    assert one == head_of(tmp_path / "two/x.git")
    builtin.make_repository(tmp_path / "one/x.git", timeout=60)
    assert one == head_of(tmp_path / "one/x.git")
    (installed / "unrelated").write_text("not a part of it")
    os.utime(installed / "lib/b.py", (1, 1))
    builtin.make_repository(tmp_path / "one/x.git", timeout=60)
    assert one == head_of(tmp_path / "one/x.git")


@pytest.mark.parametrize("change", ["content", "mode", "name"])
def test_other_files_are_another_commit(installed: Path, tmp_path: Path, change: str) -> None:
    builtin.make_repository(tmp_path / "x.git", timeout=60)
    before = head_of(tmp_path / "x.git")
    file = installed / "lib/b.py"
    match change:
        case "content":
            file.write_text("B = 2\n")
        case "mode":
            file.chmod(0o755)
        case _:
            file.rename(installed / "lib/c.py")
    builtin.make_repository(tmp_path / "x.git", timeout=60)
    assert head_of(tmp_path / "x.git") != before


def test_the_builtin_pack_is_a_pack_as_any(installed: Path, store: PackStore, tmp_path: Path) -> None:
    tip = store.tip(PackSettings(source="builtin:aws", revision="0" * 40), env={})
    pack = PackSettings(source="builtin:aws", revision=tip)
    assert set(store.tree(pack).files) == {"detections/a/detection.yml", "lib/b.py", "pack.yml"}
    (installed / "lib/b.py").write_text("B = 3\n")  # as another version of Trapline has it
    other = PackStore(tmp_path / "packs")
    assert other.tip(pack, env={}) != tip
    assert other.tree(pack).files["lib/b.py"].content == b"B = 1\n"  # an upgrade moves no pin


def test_an_installation_without_the_pack_says_so(
    installed: Path, store: PackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(installed)
    monkeypatch.setattr(builtin, "_CHECKOUT", tmp_path / "nothing")
    with pytest.raises(TraplineError, match="not part of what is installed") as caught:
        store.tip(PackSettings(source="builtin:aws", revision="0" * 40), env={})
    assert caught.value.remedy
