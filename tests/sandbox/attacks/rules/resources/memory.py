"""Keeps more and more memory."""

EXPECT = {"outcome": "memory"}


def detect(record):
    kept = []
    for _ in range(2048):  # enough for any limit, and an end where there is none
        kept.append(bytearray(1024 * 1024))
    return True
