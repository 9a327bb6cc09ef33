"""Has itself debugged, and debugs others: the oldest way into another process."""

import ctypes

EXPECT = {"outcome": "nothing", "process": "not stopped"}
TRACEME, SEIZE = 0, 0x4206


def detect(record):
    ptrace = ctypes.CDLL(None).ptrace
    return 0 in (
        ptrace(SEIZE, record["known"]["victim"], 0, 0),
        ptrace(SEIZE, 1, 0, 0),
        ptrace(TRACEME, 0, 0, 0),
    )
