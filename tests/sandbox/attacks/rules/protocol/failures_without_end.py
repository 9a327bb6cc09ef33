"""Forges a reply in which one record fails a hundred thousand times, each time in another way."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "failures"}
FAILURE = {"row": 0, "error": "x", "file": "", "line": 0, "outcome": "raised"}
REPLY = {**EMPTY, "failures": [{**FAILURE, "function": f"f{number}"} for number in range(100_000)]}


def detect(record):
    say(frame(REPLY))
    return False
