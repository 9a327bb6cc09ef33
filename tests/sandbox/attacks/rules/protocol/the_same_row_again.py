"""Forges a reply in which one record matches many times."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "twice"}
REPLY = {**EMPTY, "matches": [{"row": 0}] * 50}


def detect(record):
    say(frame(REPLY))
    return False
