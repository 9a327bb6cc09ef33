"""What a workshop remembers, and what it need not load for that."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trapline.author.shelf import Shelf
from trapline.errors import TraplineError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAVY = ("sqlalchemy", "docker", "httpx", "sqlglot", "duckdb", "pyarrow.compute", "boto3", "watchfiles")


def test_locks_and_the_name_are_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    assert shelf.lock("k1") is None
    shelf.keep_lock("k1", "six==1.17.0 # ü\n", now=NOW)
    again = Shelf(tmp_path / "shelf")
    assert (again.lock("k1"), again.lock("k2")) == ("six==1.17.0 # ü\n", None)
    assert again.scope() == shelf.scope() != Shelf(tmp_path / "other").scope()
    assert {path.name for path in (tmp_path / "shelf").iterdir()} == {"k1.lock", "scope"}


def test_what_is_damaged_is_made_anew(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.keep_lock("k", "six==1.17.0\n", now=NOW)
    (tmp_path / "k.lock").write_bytes(b"\xff\xfe")
    assert shelf.lock("k") is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TraplineError, match="cannot be made") as raised:
        Shelf(tmp_path / "file/shelf")
    assert "XDG_CACHE_HOME" in raised.value.remedy


def test_the_tests_of_a_rule_wait_for_no_library_that_they_do_not_use() -> None:
    code = f"import sys, trapline.cli.test; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
