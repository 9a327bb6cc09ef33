"""Reads the environment and the command line of every process it can see, the controller's above all."""

import glob
from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    found = False
    for process in glob.glob("/proc/[0-9]*"):
        for file in ("environ", "cmdline"):
            try:
                text = Path(process, file).read_bytes()
            except OSError:
                continue
            if record["known"]["variable"].encode() in text:
                print(text.decode("utf-8", "replace"))
                found = True
    return found
