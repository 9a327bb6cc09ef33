"""Unpacks a few bytes into gigabytes, as a log line may ask a careless rule to."""

import gzip

EXPECT = {"outcome": "memory"}
PACKED = gzip.compress(bytes(16 * 1024 * 1024), 1) * 128


def detect(record):
    return bool(gzip.decompress(PACKED))
