"""Has a dependency that ends the process as soon as it is imported."""

import sudden_end  # noqa: F401

EXPECT = {"outcome": "crashed", "when": "loading"}


def detect(record):
    return True
