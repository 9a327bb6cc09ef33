"""Keeps data where no folder shows it: in files without a name, that live in memory."""

import os

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    held = 0
    try:
        for _ in range(64):
            file = os.memfd_create("hidden")
            for _ in range(12):
                held += os.write(file, bytes(1024 * 1024))
    except OSError:
        pass
    return held > 400 * 1024 * 1024
