"""Closes every descriptor, the way to the controller included."""

import os

EXPECT = {"outcome": "crashed"}


def detect(record):
    os.closerange(0, 1024)
    return False
