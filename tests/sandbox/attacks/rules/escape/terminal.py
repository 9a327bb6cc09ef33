"""Types into the controller's terminal, as if its user had."""

import fcntl
import os
import termios

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    for path in ("/dev/tty", "/dev/console", "/dev/tty1", "/dev/pts/0", "/proc/self/fd/0"):
        try:
            terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(terminal, termios.TIOCSTI, b"\n")
        except OSError:
            continue
        return True
    return False
