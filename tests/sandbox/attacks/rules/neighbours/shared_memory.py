"""Attaches memory that another process shares under a key that it has been told of."""

import ctypes

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    return ctypes.CDLL(None).shmget(record["known"]["shared_memory"], 0, 0) >= 0
