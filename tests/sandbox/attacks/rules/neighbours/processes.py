"""Counts the processes that it can see: besides its own sandbox there should be none."""

import os
from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    strangers = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        # Its own interpreter, and the process that a sandbox may need to look after it.
        if pid != os.getpid() and not (pid == 1 and b"bwrap" in command):
            strangers.append(command)
    return bool(strangers) or os.path.exists(f"/proc/{record['known']['victim']}")
