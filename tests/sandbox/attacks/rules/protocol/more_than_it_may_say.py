"""Forges a reply with a title of a megabyte, past the runtime that would cut it."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "matches.0.title"}
REPLY = {**EMPTY, "matches": [{"row": 0, "title": "x" * 1_000_000}]}


def detect(record):
    say(frame(REPLY))
    return False
