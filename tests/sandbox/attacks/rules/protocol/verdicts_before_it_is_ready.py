"""Gives verdicts while it is being loaded."""

from forge import EMPTY, frame, say

EXPECT = {"outcome": "protocol", "error": "before the rule was ready", "when": "loading"}

say(frame(EMPTY))


def detect(record):
    return False
