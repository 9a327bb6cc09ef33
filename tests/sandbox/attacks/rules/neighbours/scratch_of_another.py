"""Leaves a note in its scratch folder, and looks whether a worker before it has left one."""

import os

EXPECT = {"outcome": "nothing", "workers": 2}


def detect(record):
    found = os.path.exists("note")
    open("note", "w").close()
    return found
