"""Answers with bytes that are no text."""

from forge import frame, say

EXPECT = {"outcome": "protocol"}


def detect(record):
    text = b'{"type": "result", "log": "\xff\xfe\xc0\x80"}'
    say(frame(text))
    return False
