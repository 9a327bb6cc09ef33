"""Prints what a terminal obeys, and lines that look like the controller's own."""

EXPECT = {"outcome": "nothing"}


def detect(record):
    print("\x1b[2J\x1b]0;owned\x07\x00\r\n2026-01-01 12:00:00 INFO honest: all is well\u202e\ud800")
    return False
