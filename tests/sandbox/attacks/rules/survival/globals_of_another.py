"""Writes into the standard library's modules what another worker would find, were they shared."""

import builtins
import os

EXPECT = {"outcome": "nothing", "workers": 2}


def detect(record):
    found = hasattr(builtins, "escaped") or os.environ.get("ESCAPED") is not None
    builtins.escaped = True
    os.environ["ESCAPED"] = "1"
    return found
