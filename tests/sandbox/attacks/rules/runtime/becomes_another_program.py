"""Has another program run in its place, which keeps its descriptors and its limits."""

import os
import sys

EXPECT = {"outcome": "crashed"}


def detect(record):
    for descriptor in range(3, 64):
        try:
            os.set_inheritable(descriptor, True)
        except OSError:
            continue
    os.execve(sys.executable, ["python3", "-I", "-c", "raise SystemExit(3)"], {})
    return False
