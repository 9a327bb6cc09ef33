"""Leaves a root directory by making another one inside it."""

import ctypes
import os

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    os.makedirs("inner", exist_ok=True)
    try:
        os.chroot("inner")
    except OSError:
        return ctypes.CDLL(None).pivot_root(b".", b"inner") == 0
    return True
