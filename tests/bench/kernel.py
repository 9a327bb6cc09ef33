"""What the kernel knows of processes: which are workers, and how much memory they take."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from os import getpid
from pathlib import Path

import docker

from tests.bench.measure import Skipped


@dataclass(frozen=True, slots=True)
class Family:
    """A worker's process, and those that are there for its sake alone."""

    worker: int
    keepers: Sequence[int] = ()


def families(backend: str, label: str, beside: Collection[int] = ()) -> list[Family]:
    """The workers of a backend that this process has running; those of Docker are known by their label.

    The others are its children's; `beside` are those that it had before it started a worker.
    """
    if backend == "docker":
        return _containers(label)
    return _forked() if backend == "process" else _processes(beside)


def children() -> Collection[int]:
    """The processes that this one has running."""
    return _children(getpid())


def memory(pid: int, kind: str) -> int:
    """The `Rss` or the `Pss` of a process, in bytes."""
    return int(_field(Path(f"/proc/{pid}/smaps_rollup"), kind)) * 1024


def peak(pid: int | str = "self") -> int:
    """The most that the RSS of a process ever was, in bytes."""
    return int(_field(Path(f"/proc/{pid}/status"), "VmHWM")) * 1024


def _forked() -> list[Family]:
    """Workers are forked from one child of this process, which is there for the sake of the first of them."""
    lines = [(child, worker) for child in _children(getpid()) for worker in _children(child)]
    return [Family(worker, () if place else (nursery,)) for place, (nursery, worker) in enumerate(lines)]


def _processes(beside: Collection[int]) -> list[Family]:
    """The children of this process. What bubblewrap starts is a child of its child, and the worker a child of that."""
    lines = [_line(child) for child in _children(getpid()) if child not in beside]
    return [Family(line[-1], line[:-1]) for line in lines]


def _line(pid: int) -> list[int]:
    children = _children(pid)
    return [pid, *_line(children[0])] if children else [pid]


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _containers(label: str) -> list[Family]:
    """The first process of each container, and the one of the engine's that holds it."""
    client = docker.from_env()
    try:
        found = [client.api.inspect_container(one["Id"]) for one in client.api.containers(filters={"label": label})]
    finally:
        client.close()
    families = []
    for one in found:
        pid = int(one["State"]["Pid"])
        if one["Id"] not in Path(f"/proc/{pid}/cgroup").read_text():
            raise Skipped("the engine's processes are not this machine's, so the kernel here cannot tell their memory")
        families.append(Family(pid, [int(_field(Path(f"/proc/{pid}/status"), "PPid"))]))
    return families


def _field(path: Path, name: str) -> str:
    found = re.search(rf"^{name}:\s*(\d+)", path.read_text(), re.MULTILINE)
    assert found, f"{path} has no {name}"
    return found[1]
