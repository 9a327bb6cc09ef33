"""Forges last words with a number that takes for ever to read, while it is loaded."""

import os

EXPECT = {"outcome": "timeout", "when": "loading"}

os.write(2, b'Timeout (0:00:01)!\n  File "/trapline/detection/\x1b[2J\x07", line ' + b"9" * 6_000 + b" in detect\n")
os._exit(1)


def detect(record):
    return True
