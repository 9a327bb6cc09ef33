"""Puts an endless file in the place of every descriptor, for the runtime to read and write."""

import os

EXPECT = {"outcome": "crashed"}


def detect(record):
    nowhere = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(64):
        if descriptor != nowhere:
            try:
                os.fstat(descriptor)
            except OSError:
                continue
            os.dup2(nowhere, descriptor)
    return False
