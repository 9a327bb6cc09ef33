"""Moves a record to a row that does not exist, past the guard, and yields it as a match."""

EXPECT = {"outcome": "protocol", "error": "row 1000000", "mode": "batch", "whole": True}


def detect(records):
    record = records[0]
    object.__setattr__(record, "_row", 1_000_000)
    type(record)._row.__set__(record, 1_000_000)
    yield {"record": record, "title": "of another batch", "dedupe": "x", "severity": "high", "destinations": []}
