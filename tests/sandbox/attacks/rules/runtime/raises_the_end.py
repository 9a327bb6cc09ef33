"""Raises what usually ends a program."""

EXPECT = {"outcome": "raised", "error": "SystemExit"}


def detect(record):
    raise SystemExit(0)
