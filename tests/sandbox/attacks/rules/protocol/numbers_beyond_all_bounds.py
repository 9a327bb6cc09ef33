"""Answers with numbers that JSON spells and no machine counts with."""

from forge import frame, say

EXPECT = {"outcome": "protocol"}


def detect(record):
    text = b'{"type": "result", "seq": 1e999, "matches": [{"row": ' + b"9" * 5_000 + b'}], "failures": [], "log": NaN}'
    say(frame(text))
    return False
