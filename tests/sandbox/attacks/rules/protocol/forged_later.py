"""Gives an honest verdict, and forges the answer to the next batch from a thread before it is asked."""

import threading
import time

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "batches": 2}
REPLY = {**EMPTY, "seq": 99}


def detect(record):
    if threading.active_count() > 1:
        time.sleep(0.4)  # the second batch: the answer is on its way
    threading.Thread(target=forge, daemon=True).start()
    return False


def forge():
    time.sleep(0.2)
    say(frame(REPLY))
