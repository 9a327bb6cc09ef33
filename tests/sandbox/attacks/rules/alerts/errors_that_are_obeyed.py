"""Raises an error whose text and type a terminal obeys."""

EXPECT = {"outcome": "raised"}


def detect(record):
    raise type("\x1b[2JError", (Exception,), {})("\x1b]0;owned\x07\x00\r\nhonest: all is well\u202e\ud800")
