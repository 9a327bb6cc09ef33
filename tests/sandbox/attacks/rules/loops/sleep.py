"""Waits for an hour, using nothing at all."""

import time

EXPECT = {"outcome": "timeout"}


def detect(record):
    time.sleep(3600)
    return True
