"""Detections that are live in a home of their own, and the feeding of scans to them as a tick does it."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.baselines import Found
from tests.bench.events import INTERVAL, START
from tests.bench.ground import BASE_IMAGE
from tests.bench.lake import TABLES, Lake
from trapline.clock import system_clock
from trapline.deploy.digest import DeployDigest
from trapline.deploy.ledger import Deployment, Ledger
from trapline.deploy.overrides import Overrides
from trapline.detection.model import DetectionConfig, Mode
from trapline.query.engine import ScanRequest
from trapline.run.context import Context
from trapline.run.feed import Feeder
from trapline.run.findings import Findings
from trapline.run.plan import PlannedScan
from trapline.run.rules import Rules
from trapline.settings import InferenceSettings, Settings
from trapline.state.database import Database, upsert
from trapline.state.logs import Logs
from trapline.state.schema import scripts
from trapline.workers.backends.docker import SCOPE
from trapline.workers.choose import choose
from trapline.workers.interface import Backend, Build, BuildDigest
from trapline.workers.pool import Pool

_WIDTH = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Feeds:
    """Feeds detections what a lake holds. `label` is on all that is made on a Docker engine."""

    backend: Backend
    label: str
    context: Context
    threads: ThreadPoolExecutor

    def deploy(self, sources: Sequence[str]) -> tuple[Deployment, ...]:
        """Builds rules and makes them known as live ones are; two at a time, since Docker takes its time."""
        return tuple(self.threads.map(self._deploy, range(len(sources)), sources))

    def feed(self, lake: Lake, members: Sequence[Deployment], *, audit: float = 0.0) -> list[Findings]:
        """From the files to the matches with their records; each record of the lake has to be seen, by every rule."""
        settings = self.context.settings.model_copy(update={"inference": InferenceSettings(audit_fraction=audit)})
        context = replace(self.context, engine=lake.engine, settings=settings)
        request = ScanRequest("events", lake.window())
        summary, findings = Feeder(context, self.threads, width=_WIDTH).feed(PlannedScan(request, tuple(members)))
        problems = [one.error for one in findings if one.error or one.failures or one.breaches]
        assert not problems, problems[:3]
        assert summary.records == lake.records
        return findings

    def _deploy(self, number: int, source: str) -> Deployment:
        name = f"rule_{number}"
        digest = BuildDigest(hashlib.sha256(f"{number} {source}".encode()).hexdigest())
        self.backend.build(Build(digest, name, {Mode.RECORD.script: (source.encode(), False)}, None))
        with self.context.database.transaction() as connection:
            upsert(connection, scripts, {"build_digest": digest}, {"source": source.encode()})
        return Deployment(
            identity=name,
            name=name,
            build_digest=digest,
            deploy_digest=DeployDigest(digest),
            revision="",
            mode=Mode.RECORD,
            config=DetectionConfig(name=name, tables=("events",)),
            deployed_at=START,
            failing_since=None,
            health_message="",
        )


@contextmanager
def feeds(sandbox: str = "auto") -> Iterator[Feeds]:
    """With a backend, by default the strongest that works here; all that is made goes at the end."""
    scope = f"bench-{uuid.uuid4().hex[:12]}"
    with TemporaryDirectory(prefix="trapline-bench-") as name, ExitStack() as ends:
        home = Path(name)
        database = Database.in_home(home)
        ends.callback(database.close)
        backend, _ = choose(sandbox, home=home / "builds", base_image=BASE_IMAGE, scope=scope)
        ends.callback(backend.close)
        ends.callback(lambda: backend.remove(backend.built()))
        pool = Pool(backend)
        ends.callback(pool.close)
        ledger = Ledger(database)
        context = Context(
            database=database,
            ledger=ledger,
            overrides=Overrides(database),
            logs=Logs(database),
            engine=Lake(home, 0).engine,
            pool=pool,
            settings=Settings(tables=TABLES),
            rules=Rules(ledger),
            now=system_clock,
        )
        threads = ends.enter_context(ThreadPoolExecutor(_WIDTH))
        yield Feeds(backend, f"{SCOPE}={scope}", context, threads)


def found_by(findings: Sequence[Findings], *, first: int) -> Found:
    """What was found among the first records, as the baselines tell it; every match has to bring its record."""
    end = START + first * INTERVAL
    return {
        (number, json.loads(match.record)["event"]["id"])
        for number, one in enumerate(findings)
        for match in one.matches
        if match.event_at < end and match.record is not None
    }


def counted(findings: Sequence[Findings]) -> int:
    """How many matches there are."""
    return sum(len(one.matches) for one in findings)
