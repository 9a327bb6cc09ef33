"""Starts programs in every way that Python and the C library know."""

import ctypes
import os
import subprocess

EXPECT = {"outcome": "nothing", "process": "not stopped"}
WAYS = (
    lambda: subprocess.run(["/bin/true"], check=True),
    lambda: subprocess.run(["/bin/true"], check=True, start_new_session=True, preexec_fn=lambda: None),
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
    lambda: os.popen("echo escaped").read() or failed(),
    lambda: ctypes.CDLL(None).system(b"true") == 0 or failed(),
    lambda: os.forkpty(),
)


def failed():
    raise OSError


def detect(record):
    for way in WAYS:
        try:
            way()
        except OSError:
            continue
        return True
    return False
