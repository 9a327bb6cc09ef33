"""Forges a reply with a context of a megabyte, past the runtime that would cut it."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "a context larger"}
REPLY = {**EMPTY, "matches": [{"row": 0, "context": {"x": "x" * 1_000_000}}]}


def detect(record):
    say(frame(REPLY))
    return False
