"""Forges a reply in the name of another detection."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "detection"}
MATCH = {"row": 0, "detection": "honest", "identity": "honest"}
REPLY = {**EMPTY, "matches": [MATCH]}


def detect(record):
    say(frame(REPLY))
    return False
