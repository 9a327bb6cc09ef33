"""Keeps more and more memory while it is loaded."""

EXPECT = {"outcome": "memory", "when": "loading"}

kept = [bytearray(1024 * 1024) for _ in range(2048)]


def detect(record):
    return True
