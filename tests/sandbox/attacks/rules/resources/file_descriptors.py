"""Opens files for as long as it can, and keeps them."""

EXPECT = {"outcome": "raised", "error": "Too many open files"}


def detect(record):
    kept = []
    for _ in range(5000):
        kept.append(open("/dev/null"))
    return True
