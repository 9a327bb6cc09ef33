"""Returns things that are always true, by mistake or to be counted as a match."""

EXPECT = {"outcome": "raised", "error": "always true"}


def detect(record):
    return (field for field in record)
