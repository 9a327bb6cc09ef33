"""Looks for another detection's code wherever builds are kept, to learn what it does not look at."""

import glob
import sys
from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    own = Path(sys.modules["trapline_sandbox.frames"].__file__).parents[1]
    found = False
    for folder in (record["known"]["builds"], own.parent / "*/detection", "/trapline", "/var/lib/docker/overlay2"):
        for name in glob.iglob(f"{folder}/**/detect*.py", recursive=True):
            file = Path(name)
            if own not in file.parents:
                print(file.read_text())
                found = True
    return found
