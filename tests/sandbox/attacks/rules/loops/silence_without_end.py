"""Yields nothing, without an end, in the batch format."""

EXPECT = {"outcome": "timeout", "mode": "batch", "whole": True}


def detect(records):
    while True:
        pass
    yield {}
