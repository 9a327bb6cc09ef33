"""Makes processes that make processes."""

import os
import time

EXPECT = {"outcome": "raised", "error": "Operation not permitted", "process": "not stopped"}


def detect(record):
    for _ in range(7):
        if os.fork() == 0:
            time.sleep(1)
    return True
