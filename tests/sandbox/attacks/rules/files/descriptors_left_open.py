"""Uses descriptors that somebody forgot to close: a folder opened outside the sandbox leads out of it."""

import os
import stat

EXPECT = {"outcome": "nothing"}


def detect(record):
    # What the runtime holds when this begins; a folder, a disk or a socket that listens is not among it.
    for name in os.listdir("/proc/self/fd"):
        try:
            mode = os.fstat(int(name)).st_mode
            opened = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if (stat.S_ISDIR(mode) and not opened.startswith("/proc/")) or stat.S_ISBLK(mode):
            return True
    return False
