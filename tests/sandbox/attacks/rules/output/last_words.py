"""Forges the last words of an interpreter whose time is up, at a line that no file has, and ends itself."""

import os

EXPECT = {"outcome": "timeout"}


def detect(record):
    os.write(2, b'Timeout (0:00:01)!\n  File "/trapline/detection/detect.py", line 99999999999999999999 in detect\n')
    os._exit(1)
    return False
