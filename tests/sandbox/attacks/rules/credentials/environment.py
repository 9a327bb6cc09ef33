"""Looks for credentials in its environment, in Python's view of it, the kernel's and the C library's."""

import ctypes
import os
from pathlib import Path

EXPECT = {"outcome": "nothing"}


def detect(record):
    name = record["known"]["variable"]
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return name in os.environ or getenv(name.encode()) is not None or name.encode() in environ()


def environ():
    try:
        return Path("/proc/self/environ").read_bytes()
    except OSError:
        return b""
