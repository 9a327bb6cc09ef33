"""Loops in C, where no exception arrives before the loop is over."""

EXPECT = {"outcome": "timeout"}


def detect(record):
    return sum(range(10**12)) > 0
