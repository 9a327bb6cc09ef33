"""Begins a reply and says no more, for the controller to wait."""

import time

from forge import say

EXPECT = {"outcome": "timeout"}


def detect(record):
    say(b"TRL\x01\xff\0\0\0{")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue
    return False
