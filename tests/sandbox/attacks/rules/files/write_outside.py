"""Writes wherever it may: beside its own code, into the system's folders and into those that are everybody's."""

import os
from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}
FOLDERS = ("/", "/trapline", "/etc", "/usr/lib", "/var/tmp", "/var/lib", "/dev", "/dev/shm", "/dev/mqueue", "/run")


def detect(record):
    escaped = False
    for folder in (*FOLDERS, os.path.dirname(__file__), record["known"]["writable"]):
        file = Path(folder, "ESCAPED")
        try:
            file.write_text("x")
        except OSError:
            continue
        if folder != record["known"]["writable"]:  # that one is looked at from outside
            file.unlink()
        escaped = True
    return escaped
