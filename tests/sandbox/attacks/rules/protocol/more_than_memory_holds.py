"""Answers with a few megabytes that become gigabytes, and minutes, where they are read with too much care."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "matches.0"}
EMPTY_LISTS = b"[]," * (4 * 1024 * 1024) + b"[]"


def detect(record):
    say(frame(frame(EMPTY)[8:].replace(b'"matches": []', b'"matches": [' + EMPTY_LISTS + b"]")))
    return False
