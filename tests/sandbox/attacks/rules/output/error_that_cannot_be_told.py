"""Raises an error that raises again when it is asked what it is."""

EXPECT = {"outcome": "raised"}


class Unspeakable(Exception):
    def __str__(self):
        raise Unspeakable

    __repr__ = __str__


def detect(record):
    raise Unspeakable
