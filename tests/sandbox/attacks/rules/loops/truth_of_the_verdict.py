"""Answers with a verdict that takes for ever to say whether it is true."""

EXPECT = {"outcome": "timeout"}


class Verdict:
    def __bool__(self):
        while True:
            pass


def detect(record):
    return Verdict()
