"""Writes one file until the disk is full."""

EXPECT = {"outcome": "raised"}


def detect(record):
    with open("large", "wb", buffering=0) as file:
        for _ in range(512):
            file.write(bytes(1024 * 1024))
    return True
