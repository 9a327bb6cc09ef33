"""Replaces the methods of the record's class, for whoever reads records after it."""

import sys

EXPECT = {"outcome": "nothing"}


def detect(record):
    for name in ("__getitem__", "get", "deepget", "to_dict", "__iter__"):
        setattr(type(record), name, lambda *_: "ESCAPED")
    sys.modules["trapline_sandbox.record"].clean = lambda *_: "ESCAPED"
    sys.modules["trapline_sandbox.columns"].Fields = None
    return False
