"""Gives a context that is small in memory and immense when written down: lists of the same lists.

Only the context is lost: the match is not.
"""

EXPECT = {"outcome": "match"}


def detect(record):
    return True


def alert_context(record):
    laughs = ["ha"]
    for _ in range(30):
        laughs = [laughs] * 10
    return {"laughs": laughs}
