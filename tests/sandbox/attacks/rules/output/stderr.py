"""Writes to standard error past Python, without an end."""

import os

EXPECT = {"outcome": "timeout"}


def detect(record):
    while True:
        try:
            os.write(2, b"x" * 65536)
        except OSError:  # full, where it is a file
            continue
    return False
