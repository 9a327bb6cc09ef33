"""Replaces what the runtime and everybody else writes JSON with."""

import json
import json.encoder

EXPECT = {"outcome": "protocol", "when": "loading"}


def forged(*_, **__):
    return "{}"


json.dumps = json.encoder.JSONEncoder.encode = json.loads = forged


def detect(record):
    return False
