"""Disarms every clock that it can reach in its process, and loops."""

import faulthandler
import signal

EXPECT = {"outcome": "timeout", "whole": True}


def detect(record):
    for clock in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(clock, 0)
    faulthandler.cancel_dump_traceback_later()
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while True:
        pass
    return False
