"""Gives its alert texts that are empty, blank or cannot be seen."""

EXPECT = {"outcome": "match"}


def detect(record):
    return True


def title(record):
    return "\u200b\u00ad \t\n"


def dedupe(record):
    return ""


def description(record):
    return "\u200b" * 10_000
