"""Poisons every text of its alert with what terminals, logs and databases obey."""

EXPECT = {"outcome": "match"}
POISON = "ESCAPED\x1b[2J\x1b]0;owned\x07\x00\r\nhonest: all is well\u202e\u2066\ud800\x9b31m\x08\x7f\u2028"


def detect(record):
    return True


def title(record):
    return POISON


def dedupe(record):
    return POISON


def severity(record):
    return POISON


def destinations(record):
    return ["terminal", POISON]


def description(record):
    return POISON


def runbook(record):
    return POISON


def alert_context(record):
    return {POISON: POISON}
