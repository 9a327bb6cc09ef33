"""Calls itself without an end."""

EXPECT = {"outcome": "raised", "error": "RecursionError"}


def detect(record):
    return detect(record)
