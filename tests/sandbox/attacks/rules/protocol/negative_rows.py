"""Forges a reply with a match on a row before the first."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "matches.0.row"}
REPLY = {**EMPTY, "matches": [{"row": -1}]}


def detect(record):
    say(frame(REPLY))
    return False
