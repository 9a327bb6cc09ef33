"""Says megabytes in every answer about a match."""

EXPECT = {"outcome": "match"}
MEGABYTES = "x" * 5_000_000


def detect(record):
    return True


def title(record):
    return MEGABYTES


def dedupe(record):
    return MEGABYTES


def description(record):
    return MEGABYTES


def alert_context(record):
    return {MEGABYTES: MEGABYTES}
