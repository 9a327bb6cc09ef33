"""Sends signals to its parent, to the controller, to a neighbour and to everybody at once."""

import os
import signal

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    targets = [
        (record["known"]["victim"], signal.SIGKILL),
        (-record["known"]["victim"], signal.SIGKILL),
        (record["known"]["controller"], signal.SIGCONT),  # one that harms nobody: that it arrives is enough
        (-1, signal.SIGCONT),
    ]
    if os.getppid() > 0:
        targets.append((os.getppid(), signal.SIGSTOP))  # the first of its own world does not heed it
    arrived = 0
    for pid, number in targets[:4]:
        try:
            os.kill(pid, number)
        except OSError:
            continue
        arrived += 1
    for pid, number in targets[4:]:
        try:
            os.kill(pid, number)
        except OSError:
            continue
    return arrived > 0
