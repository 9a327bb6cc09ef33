"""Frames as the runtime writes them, for attacks that write their own. Every attack has this file beside it."""

import json
import os

EMPTY = {"type": "result", "seq": 1, "matches": [], "failures": [], "memory": 0, "log": "", "complete": True}


def frame(reply):
    """A reply in its frame; text is taken as it is."""
    text = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return b"TRL\x01" + len(text).to_bytes(4, "little") + text


def say(words):
    """Writes to the first descriptor that will have it: besides the standard ones there is only the way to the host."""
    for descriptor in range(3, 64):
        try:
            while words:
                words = words[os.write(descriptor, words) :]
        except OSError:
            continue
        return
