"""Sets the machine's clock, its name and its own priority."""

import os
import socket
import time

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    for change in (
        lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
        lambda: socket.sethostname(socket.gethostname()),
        lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    ):
        try:
            change()
        except OSError:
            continue
        return True
    return False
