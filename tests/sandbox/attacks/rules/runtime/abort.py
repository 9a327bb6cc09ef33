"""Ends its process by a signal that leaves a core dump."""

import os
import signal

EXPECT = {"outcome": "crashed"}


def detect(record):
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()
    return False
