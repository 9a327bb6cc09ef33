"""Forges a failure at a line that no file has and no database can keep."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "failures.0.line"}
FAILURE = {"row": 0, "function": "detect", "error": "x", "file": "detect.py", "line": 10**30, "outcome": "raised"}
REPLY = {**EMPTY, "failures": [FAILURE]}


def detect(record):
    say(frame(REPLY))
    return False
