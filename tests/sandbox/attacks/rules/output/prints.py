"""Prints without an end, or nearly so."""

EXPECT = {"outcome": "nothing"}


def detect(record):
    for _ in range(20_000):
        print("x" * 10_000)
    return False
