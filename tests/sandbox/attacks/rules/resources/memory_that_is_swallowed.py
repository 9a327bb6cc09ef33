"""Takes all memory and goes on when there is none, again and again.

Where the kernel counts memory, it ends the process; where it limits addresses, the process is told that there are none.
"""

EXPECT = {"outcome": "memory", "bubblewrap": "timeout", "process": "timeout", "whole": True}


def detect(record):
    kept = []
    while len(kept) < 2048:
        try:
            kept.append(bytearray(1024 * 1024))
        except BaseException:
            kept = kept[:-10]
    return True
