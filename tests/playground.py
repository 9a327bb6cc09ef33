"""A trapline in a temporary folder for tests: a real git repository, a lake of Parquet files, a clock moved by hand."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import git
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
import yaml

from trapline.controller import Controller
from trapline.deploy.reconcile import Report
from trapline.options import Options
from trapline.state.database import Database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MATCH_BAD = 'def detect(record):\n    return record.deepget("event.action") == "bad"'


class Playground:
    """Everything one controller needs, in `root`."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.repository = root / "repository"
        self.lake = self.home / "lake"
        self.now = NOON
        self.said: list[str] = []
        self.repository.mkdir(parents=True)
        (self.lake / "logs").mkdir(parents=True)
        self._git = git.Repo.init(self.repository, initial_branch="main")
        with self._git.config_writer() as config:
            config.set_value("user", "name", "Test").set_value("user", "email", "test@example.com")
        self.settings()

    def settings(self, **changes: Any) -> None:
        """Writes trapline.yml: a table `logs`, a console destination, a start at noon, and what is changed."""
        settings = {
            "tables": {"logs": {"path": "lake/logs"}},
            "destinations": {"terminal": {"type": "console"}},
            "default_destinations": ["terminal"],
            "schedule": {"start": NOON, "every": "5m", "longest_window": "400d"},
        }
        self.write("trapline.yml", yaml.safe_dump({**settings, **changes}, sort_keys=False))

    def write(self, path: str, text: str) -> None:
        file = self.repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def detection(self, name: str, code: str | None = None, *, folder: str = "", **config: Any) -> None:
        """Writes a per-record detection over `logs`, by default one that matches `event.action: bad`."""
        # Equal code would be one build, shared; tests that count builds want them apart.
        code = f"{MATCH_BAD}  # {name}\n" if code is None else code
        text = yaml.safe_dump({"name": name, "enabled": True, "tables": ["logs"], **config}, sort_keys=False)
        self.write(f"detections/{folder or name}/detection.yml", text)
        self.write(f"detections/{folder or name}/detect.py", code)

    def batch_detection(self, name: str, code: str, config: str = "") -> None:
        """Writes a detection in the batch format over `logs`; `config` is more TOML."""
        head = f'name = "{name}"\nenabled = true\ntables = ["logs"]\n'
        self.write(f"detections/{name}/detection.toml", head + config)
        self.write(f"detections/{name}/detection.py", code)

    def remove(self, path: str) -> None:
        self._git.git.rm("-rq", path)

    def move(self, old: str, new: str) -> None:
        self._git.git.mv(old, new)

    def commit(self, message: str = "Change detections", *, amend: bool = False, sign: Path | None = None) -> str:
        """Commits everything; `sign` is the private ssh key to sign with."""
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={sign}", "-c", "commit.gpgsign=true"] if sign else []
        self._git.git.add(all=True)
        more = ["--amend"] if amend else []
        self._git.git.execute(["git", *signing, "commit", "-qm", message, "--allow-empty", *more])
        return str(self._git.head.commit.hexsha)

    def rewrite(self) -> str:
        """Puts one commit with the same files in place of the whole history."""
        self._git.git.checkout("-q", "--orphan", "rewritten")
        self._git.git.commit("-qam", "All of it")
        self._git.git.branch("-M", "main")
        return str(self._git.head.commit.hexsha)

    def records(self, *minutes: float, table: str = "logs", **fields: Any) -> None:
        """Adds a file with one record for each of these minutes after noon, by default with `event.action: bad`."""
        event = {"action": "bad", **fields.pop("event", {})}
        rows = [
            {"ts": NOON + timedelta(minutes=m), "event": {"id": uuid.uuid4().hex, **event}, **fields} for m in minutes
        ]
        pq.write_table(pa.Table.from_pylist(rows), self.lake / table / f"{uuid.uuid4().hex}.parquet")

    def at(self, minutes: float) -> None:
        """Moves the clock to so many minutes after noon."""
        self.now = NOON + timedelta(minutes=minutes)

    def controller(self, *, sandbox: str = "process", base_image: str | None = None) -> Controller:
        options = Options(self.home, str(self.repository), sandbox=sandbox, base_image=base_image)
        return Controller(options, now=lambda: self.now, write=self.said.append)

    def rows(self, table: sa.Table, *order: str) -> list[dict[str, Any]]:
        """All rows of a table of the state."""
        database = Database.in_home(self.home)
        with database.reading() as connection:
            query = sa.select(table).order_by(*(table.c[name] for name in order))
            rows = [dict(row) for row in connection.execute(query).mappings()]
        database.close()
        return rows


def eventually(condition: Callable[[], Any], *, within: float = 60, why: Callable[[], str] = str) -> Any:
    """Waits for something that somebody else does, and returns what came of it. Where nothing does, `why` may tell."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {within:g} s\n{why()}"
        time.sleep(0.05)
    return value


def deploy(ground: Playground, controller: Controller) -> None:
    """Commits what was written and makes it live, all of it."""
    ground.commit()
    assert [one for one in controller.reconcile().outcomes if one.action in ("stalled", "waiting")] == []


def actions(report: Report) -> dict[str, str]:
    """What a reconcile did, by detection."""
    return {outcome.name: outcome.action for outcome in report.outcomes}


def column(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]
