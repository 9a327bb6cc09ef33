"""Becomes root, or somebody else."""

import os

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    if os.getuid() == 0 or os.geteuid() == 0:
        return True
    for become in (
        lambda: os.setuid(0),
        lambda: os.setgid(0),
        lambda: os.setresuid(0, 0, 0),
        lambda: os.setgroups([0]),
        lambda: os.setuid(1000),
    ):
        try:
            become()
        except OSError:
            continue
        return True
    return False
