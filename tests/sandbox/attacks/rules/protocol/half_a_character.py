"""Answers with text that JSON can spell and no database can keep: half of a surrogate pair."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "hex escape"}
REPLY = {**EMPTY, "matches": [{"row": 0, "title": "\ud800"}]}


def detect(record):
    say(frame(REPLY))
    return False
