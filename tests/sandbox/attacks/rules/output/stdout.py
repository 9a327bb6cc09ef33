"""Writes to where the replies go, without an end."""

import os

EXPECT = {"outcome": "protocol"}


def detect(record):
    for descriptor in range(3, 64):
        try:
            while True:
                os.write(descriptor, b"x" * 65536)
        except OSError:
            continue
    return False
