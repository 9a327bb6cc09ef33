"""The process backend: each worker an interpreter process of its own on this machine. No security boundary."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from trapline.workers.backends import layout
from trapline.workers.backends.child import ENVIRONMENT, Child
from trapline.workers.backends.folders import FolderBackend
from trapline.workers.backends.nursery import CAN_FORK, Nursery
from trapline.workers.backends.owner import Owner
from trapline.workers.interface import BackendUnavailable, BuildDigest, Limits, Rule
from trapline.workers.worker import SandboxWorker

FILE_BYTES = 16 * 1024 * 1024
OPEN_FILES = 256


class ProcessBackend(FolderBackend):
    """Limits on what a detection may use, and nothing that keeps it from what this user may do."""

    name = "process"

    def __init__(self, home: Path, owner: Owner | None = None) -> None:
        if os.name != "posix":
            raise BackendUnavailable("the process backend needs Linux or macOS", remedy="use the docker backend")
        super().__init__(home, owner)
        self._nursery = Nursery([self._interpreter, *layout.FLAGS], ENVIRONMENT, folder=home) if CAN_FORK else None

    def describe(self) -> str:
        return (
            "process: every detection in an interpreter process of its own, with limits on memory and time. This is "
            "NO security boundary: a detection can read what this user can read, and reach the network"
        )

    def start(self, digest: BuildDigest, rule: Rule, limits: Limits) -> SandboxWorker:
        """Starts a worker and loads the rule. Raises WorkerError where the script cannot be imported."""
        root = self._root(digest, rule)
        spawn = self._nursery.spawn if self._nursery else subprocess.Popen
        channel = Child([self._interpreter, *layout.FLAGS, str(root)], self._owner, spawn=spawn)
        return SandboxWorker(channel, rule, limits, rlimits=rlimits(limits))

    def close(self) -> None:
        if self._nursery:
            self._nursery.close()
        super().close()


def rlimits(limits: Limits) -> dict[str, int]:
    """What a worker that is a process of this machine sets for itself."""
    return {
        "RLIMIT_CORE": 0,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": FILE_BYTES,
        "RLIMIT_NOFILE": OPEN_FILES,
    }
