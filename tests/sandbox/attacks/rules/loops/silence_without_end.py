"""Yields nothing, without an end, in the batch format."""

EXPECT = {"outcome": "timeout", "mode": "batch"}


def detect(records):
    while True:
        pass
    yield {}
