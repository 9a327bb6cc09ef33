"""Writes many files, each within its limit, until the disk is full."""

EXPECT = {"outcome": "raised", "error": "No space left", "process": "not stopped"}


def detect(record):
    for number in range(512):
        with open(f"part-{number}", "wb", buffering=0) as file:
            file.write(bytes(1024 * 1024))
    return True
