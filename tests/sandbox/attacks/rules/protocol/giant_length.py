"""Announces a reply of four gigabytes, for the controller to make room for."""

from forge import say

EXPECT = {"outcome": "protocol", "error": "larger than the limit"}


def detect(record):
    say(b"TRL\x01" + b"\xff\xff\xff\xff")
    return False
