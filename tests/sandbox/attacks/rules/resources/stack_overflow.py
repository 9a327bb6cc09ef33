"""Takes Python's own guard away and recurses until the stack is full."""

import sys

EXPECT = {"outcome": "crashed"}


class Deep:
    def __repr__(self):
        return repr(self)


def detect(record):
    sys.setrecursionlimit(2**31 - 1)
    return bool(repr(Deep()))
