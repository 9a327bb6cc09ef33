"""Answers with JSON that is nested deeper than a parser's stack."""

from forge import frame, say

EXPECT = {"outcome": "protocol", "error": "recursion"}
DEPTH = 500_000


def detect(record):
    say(frame(b'{"type": "result", "matches": ' + b"[" * DEPTH + b"]" * DEPTH + b"}"))
    return False
