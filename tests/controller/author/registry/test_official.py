"""The index of the pack that comes with Trapline."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapline.author.registry import official
from trapline.author.registry.official import official_index
from trapline.config.files import File
from trapline.packs.store import PackStore
from trapline.settings.packs import BUILTIN, PackSettings

ROOT = Path(__file__).parents[4]


def test_it_is_made_once_and_can_be_had_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = official_index(tmp_path / "cache")
    assert {entry.path for entry in index.detections} == {
        file.parent.relative_to(ROOT).as_posix() for file in ROOT.glob("detections/*/detection.*ml")
    }
    assert all(entry.quality.runbook and entry.quality.finds and entry.quality.leaves for entry in index.detections)
    assert index.pack.source == BUILTIN
    assert index.pack.revision is not None
    pack = PackSettings(source=BUILTIN, revision=index.pack.revision)
    store = PackStore(tmp_path / "packs")
    store.fetch(pack, env={})
    assert "pack.yml" in store.tree(pack).files
    monkeypatch.setattr(official, "index_of", None)
    assert official_index(tmp_path / "cache") == index


def test_other_files_are_another_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        name: file for name, file in official.builtin_files().items() if "root_" in name or "detections/" not in name
    }
    monkeypatch.setattr(official, "builtin_files", lambda: files)
    monkeypatch.setattr(official, "_revision", lambda: "0" * 40)
    first = official_index(tmp_path)
    name = next(name for name in files if name.endswith("detection.yml"))
    files[name] = File(content=files[name].content.replace(b"display_name: ", b"display_name: New "))
    second = official_index(tmp_path)
    assert second != first
    assert official_index(tmp_path) == second
    assert len(list(tmp_path.iterdir())) == 1
