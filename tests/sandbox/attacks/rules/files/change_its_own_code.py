"""Rewrites, renames and removes its own files and the runtime's, to be somebody else at the next start."""

import json
import os
import sys
from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    changed = False
    for file in (__file__, sys.modules["trapline_sandbox.frames"].__file__, json.__file__):
        path = Path(file)
        for change in (
            lambda path=path: os.chmod(path, 0o777),
            lambda path=path: os.utime(path),
            lambda path=path: path.open("a").close(),
            lambda path=path: path.with_name("ESCAPED.py").touch(),
            lambda path=path: path.rename(path.with_name("ESCAPED")),
        ):
            try:
                change()
            except OSError:
                continue
            changed = True
    return changed
