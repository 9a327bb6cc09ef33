"""Will not end: loops when its process is asked to leave, and heeds no signal."""

import atexit
import signal
import threading

EXPECT = {"outcome": "nothing"}


def stay():
    while True:
        pass


for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
atexit.register(stay)
threading._register_atexit(stay)


def detect(record):
    return False
