"""Loops while it is loaded."""

EXPECT = {"outcome": "timeout", "when": "loading"}

while True:
    pass


def detect(record):
    return True
