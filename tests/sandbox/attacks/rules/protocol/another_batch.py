"""Answers a batch that it has not been asked about yet."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "a reply to batch 77"}
REPLY = {**EMPTY, "seq": 77}


def detect(record):
    say(frame(REPLY))
    return False
