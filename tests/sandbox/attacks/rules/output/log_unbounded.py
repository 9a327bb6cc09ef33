"""Lifts the limit of its log, and prints megabytes."""

import sys

EXPECT = {"outcome": "protocol"}


def detect(record):
    sys.stdout.limit = 2**40
    for _ in range(4):
        print("x" * 1024 * 1024)
    return False
