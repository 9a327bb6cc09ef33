"""Each attack in a worker of its own: it ends as its file says, and nothing of it is seen from outside."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pytest

from tests.sandbox.attacks.catalogue import MATCH, NOT_STOPPED, NOTHING, RULES, TOOLS, Attack, attacks, contents
from tests.sandbox.attacks.ground import Ground
from trapline.workers.interface import Backend, Build, BuildDigest, Limits, Rule, WorkerError

LIMITS = Limits(
    memory_bytes=160 * 2**20, batch_seconds=2, record_seconds=0.7, start_seconds=3, pids=32, log_bytes=8 * 1024
)
PATIENT = replace(LIMITS, batch_seconds=30, record_seconds=10, start_seconds=30)
"""For what is not to be stopped by its time, however slow the machine is."""
BACKENDS = {"process": (), "bubblewrap": pytest.mark.bubblewrap, "docker": pytest.mark.docker}
CASES = [
    pytest.param(backend, attack, marks=marks, id=f"{backend}-{attack}")
    for backend, marks in BACKENDS.items()
    for attack in attacks()
    if attack.expected(backend) != NOT_STOPPED
]
# One build for all that are one file: to build takes longer than to run.
TOGETHER = Build(BuildDigest(uuid.uuid4().hex), "attack", contents(RULES) | contents(TOOLS), None)


@dataclass(slots=True)
class Seen:
    """What came out of a sandbox."""

    outcomes: set[str] = field(default_factory=set)
    said: str = ""

    def error(self, error: WorkerError) -> None:
        self.outcomes.add(error.outcome)
        self.said += f"{error}\n{error.log}\n"


@pytest.mark.parametrize(("backend", "attack"), CASES, indirect=["backend"])
def test_it_gets_nowhere(attack: Attack, backend: Backend, ground: Ground) -> None:
    seen = Seen()
    for _ in range(attack.workers):
        _run(attack, backend, ground, seen)
    assert not ground.breaches(seen.said), seen.said
    assert (seen.outcomes or {NOTHING}) == {attack.expected(backend.name)}, seen.said
    assert attack.error in seen.said


def _run(attack: Attack, backend: Backend, ground: Ground, seen: Seen) -> None:
    record = {"n": 1, "event": {"action": "bad"}, "known": ground.known}
    digest, script = _built(attack, backend)
    limits = LIMITS if attack.expected(backend.name) == "timeout" else PATIENT
    try:
        worker = backend.start(digest, Rule("attack", script, attack.mode), limits)
    except WorkerError as error:
        seen.error(error)
        return
    try:
        for _ in range(attack.batches):
            reply = worker.run(pa.RecordBatch.from_pylist([record]))
            assert len(reply.log) <= LIMITS.log_bytes + 100, "its log is longer than it may be"
            seen.said += repr(reply) + reply.log
            seen.outcomes |= {failure.outcome for failure in reply.failures if failure.function == "detect"}
            seen.outcomes |= {MATCH for _ in reply.matches}
    except WorkerError as error:
        seen.error(error)
    finally:
        worker.close()


def _built(attack: Attack, backend: Backend) -> tuple[BuildDigest, str]:
    """The build that has the attack, and the name of its script there."""
    if not attack.path.is_dir():
        backend.build(TOGETHER)
        return TOGETHER.digest, f"{attack.name}.py"
    digest = BuildDigest(uuid.uuid5(uuid.NAMESPACE_URL, f"{TOGETHER.digest} {attack}").hex)
    backend.build(Build(digest, "attack", attack.files, attack.requirements))
    return digest, attack.script
