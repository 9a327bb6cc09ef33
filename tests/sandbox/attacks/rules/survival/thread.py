"""Leaves a thread behind that keeps running after the verdict, and changes what comes next."""

import sys
import threading
import time

EXPECT = {"outcome": "nothing", "batches": 2}


def detect(record):
    threading.Thread(target=meddle, args=(sys.modules["trapline_sandbox.record"],), daemon=False).start()
    return False


def meddle(module):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        module.__dict__["clean"] = lambda *_: "ESCAPED"
