"""Has a dependency that runs at the start of every interpreter, by the hooks that site-packages know."""

import os

EXPECT = {"outcome": "nothing"}


def detect(record):
    return os.path.exists("started")
