"""Sends its alert to destinations that it was not given, and to names that lead somewhere."""

EXPECT = {"outcome": "match"}


def detect(record):
    return True


def destinations(record):
    return ["../../etc/passwd", "", "console", "https://attacker.example/", "terminal' OR 1=1 --", "x" * 100_000]
