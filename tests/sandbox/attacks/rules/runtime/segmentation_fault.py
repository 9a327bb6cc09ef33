"""Reads memory that is not there, as a broken native library does."""

import ctypes

EXPECT = {"outcome": "crashed"}


def detect(record):
    return bool(ctypes.string_at(1))
