"""Ends its process without a word."""

import os

EXPECT = {"outcome": "crashed"}


def detect(record):
    os._exit(0)
    return False
