"""Says that it is ready, where it is asked for verdicts."""

from forge import frame, say

EXPECT = {"outcome": "protocol", "error": "no result"}


def detect(record):
    say(frame({"type": "ready", "python": "9.9", "functions": []}))
    return False
