"""Forges a context with a number that becomes infinite as it is read, and that no JSON can say again."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "context"}
REPLY = {**EMPTY, "matches": [{"row": 0, "context": {"x": float("inf")}}]}


def detect(record):
    say(frame(REPLY).replace(b"Infinity", b"1e999999"))
    return False
