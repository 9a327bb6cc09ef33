"""Matches a catastrophic regular expression, whose text came with the record."""

import re

EXPECT = {"outcome": "timeout"}


def detect(record):
    return re.fullmatch(r"(a+)+$", "a" * 64 + "!") is not None
