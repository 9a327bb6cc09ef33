"""Computes a number that has no end to speak of."""

EXPECT = {"outcome": "timeout"}


def detect(record):
    return pow(3, 10**9) % 7 == 1
