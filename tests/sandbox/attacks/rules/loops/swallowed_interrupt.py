"""Loops, and swallows every exception that would end it."""

EXPECT = {"outcome": "timeout"}


def detect(record):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
    return False
