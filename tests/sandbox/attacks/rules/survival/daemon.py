"""Leaves a process behind, in a session of its own, that outlives its worker."""

import os
import time

EXPECT = {"outcome": "raised", "error": "Operation not permitted", "process": "not stopped"}


def detect(record):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(5)
        os._exit(0)
    return True
