"""Loops in Python, on one record."""

EXPECT = {"outcome": "timeout"}


def detect(record):
    while True:
        pass
    return False
