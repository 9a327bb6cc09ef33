"""Raises an error with megabytes of text, whose type has a name to match."""

EXPECT = {"outcome": "raised", "error": "…"}


def detect(record):
    raise type("E" * 100_000, (Exception,), {})("x" * 5_000_000)
