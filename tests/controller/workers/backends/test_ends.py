"""However a controller ends, nothing of its workers is left once the next one has started; a neighbour's are."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from trapline.workers.backends.docker import SCOPE
from trapline.workers.choose import choose
from trapline.workers.interface import Backend

CONTROLLER = """
import signal, sys, threading
from pathlib import Path
import pyarrow as pa
from trapline.workers.choose import choose
from trapline.workers.interface import Build, BuildDigest, Limits, Rule, WorkerError

LOOP = '''
import faulthandler, re, signal
def detect(record):
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        try:
            re.match("(a+)+$", "a" * 64 + "b")  # in C, for ages
        except BaseException:
            pass
'''
name, home, image, scope = sys.argv[1:]
backend, _ = choose(name, home=Path(home, "builds"), base_image=image, scope=scope)
limits = Limits(batch_seconds=600, record_seconds=600)

def start(script):
    build = Build(BuildDigest(f"{len(script):040}"), "demo", {"detect.py": (script.encode(), False)}, None)
    backend.build(build)
    return backend.start(build.digest, Rule("demo", "detect.py", "record"), limits)

def work(worker):
    try:
        worker.run(pa.RecordBatch.from_pydict({"n": [1]}))
    except (WorkerError, OSError, ValueError):
        pass  # it is closed under our hands

warm, looping = start("def detect(record): return True"), start(LOOP)
warm.run(pa.RecordBatch.from_pydict({"n": [1]}))
threading.Thread(target=work, args=[looping], daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
print("ready", flush=True)
try:
    for order in sys.stdin:
        work(warm)
        print(warm.alive, flush=True)
finally:
    warm.close()
    looping.close()
    backend.close()
"""


class Ground:
    """One home, and the controllers on it."""

    def __init__(self, backend: str, home: Path, image: str) -> None:
        self.backend, self.home, self.image = backend, home, image
        self.scope = f"test-{uuid.uuid4().hex}"
        self._children: list[subprocess.Popen[str]] = []

    def controller(self) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", CONTROLLER, self.backend, str(self.home), self.image, self.scope]
        child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._children.append(child)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)  # its worker is deep in the loop
        return child

    def start(self) -> Backend:
        return choose(self.backend, home=self.home / "builds", base_image=self.image, scope=self.scope)[0]

    def processes(self) -> list[str]:
        """Those that know of the home by their command line, their folder or what is mounted for them, but for
        controllers."""
        return [pid for pid in _pids() if self._is_worker(pid)]

    def containers(self) -> list[str]:
        if self.backend != "docker":
            return []
        client = docker.from_env()
        try:
            found = client.api.containers(all=True, filters={"label": f"{SCOPE}={self.scope}"})
            return [container["Id"] for container in found]
        finally:
            client.close()

    def close(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                assert stream
                stream.close()
        backend = self.start()
        backend.remove(backend.built())
        backend.close()

    def _is_worker(self, pid: str) -> bool:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text()
            mounted = Path(f"/proc/{pid}/mountinfo").read_text() + str(Path(f"/proc/{pid}/cwd").readlink())
        except OSError:  # gone, or a zombie
            return False
        return CONTROLLER not in command and bool(command) and str(self.home) in command + mounted


@pytest.fixture(
    params=[
        "process",
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    image = ""
    if request.param == "docker":
        image = request.getfixturevalue("docker_base_image")
    elif request.param == "bubblewrap":
        request.getfixturevalue("bubblewrap")
    ground = Ground(request.param, tmp_path / "home", image)
    yield ground
    ground.close()


def _killed(child: subprocess.Popen[str]) -> None:
    child.kill()
    assert child.wait(10) == -signal.SIGKILL


def _terminated(child: subprocess.Popen[str]) -> None:
    child.terminate()
    assert child.wait(30) == 0


def _closed(child: subprocess.Popen[str]) -> None:
    assert child.stdin
    child.stdin.close()
    assert child.wait(30) == 0


@pytest.mark.parametrize("end", [_killed, _terminated, _closed])
def test_nothing_is_left(ground: Ground, end: Callable[[subprocess.Popen[str]], None]) -> None:
    child = ground.controller()
    if ground.backend != "docker":
        assert len(ground.processes()) >= 2
    else:
        assert len(ground.containers()) == 2
    (ground.home / "builds" / ".tmp-half").mkdir(parents=True)
    end(child)
    backend = ground.start()
    _eventually_none(ground.processes)
    assert ground.containers() == []
    (owner,) = (ground.home / "run").iterdir()
    assert list(owner.iterdir()) == []
    if ground.backend != "docker":
        assert sorted(path.name for path in (ground.home / "builds").iterdir()) == sorted(backend.built())
    backend.close()
    assert list((ground.home / "run").iterdir()) == []


def test_after_a_clean_end_nothing_is_left_to_sweep(ground: Ground) -> None:
    _terminated(ground.controller())
    assert ground.processes() == []
    assert ground.containers() == []
    assert list((ground.home / "run").iterdir()) == []


def test_a_living_neighbours_workers_go_on(ground: Ground) -> None:
    neighbour, child = ground.controller(), ground.controller()
    processes = len(ground.processes())
    _killed(child)
    backend = ground.start()
    backend.remove([])  # sweeps too
    if ground.backend == "docker":
        assert len(ground.containers()) == 2
    else:
        _eventually(lambda: len(ground.processes()) == processes // 2)
    assert neighbour.stdin
    assert neighbour.stdout
    neighbour.stdin.write("work\n")
    neighbour.stdin.flush()
    assert neighbour.stdout.readline() == "True\n"
    backend.close()


def _pids() -> list[str]:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _eventually_none(find: Callable[[], list[str]]) -> None:
    """What was sent SIGKILL needs a moment."""
    _eventually(lambda: not find())


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
