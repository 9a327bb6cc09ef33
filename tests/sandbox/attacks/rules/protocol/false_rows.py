"""Forges a reply with a match on a record that is not in the batch."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "row 1000000 of a batch"}
REPLY = {**EMPTY, "matches": [{"row": 1_000_000}]}


def detect(record):
    say(frame(REPLY))
    return False
