"""Starts threads for as long as it can."""

import threading
import time

EXPECT = {"outcome": "pids", "process": "not stopped"}


def detect(record):
    threading.stack_size(32 * 1024)
    for _ in range(3000):
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
    return True
