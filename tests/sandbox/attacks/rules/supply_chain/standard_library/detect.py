"""Has files and a dependency that stand in for modules of the standard library."""

import base64
import json
import secrets
import socket
import struct

EXPECT = {"outcome": "nothing"}


def detect(record):
    return any(getattr(module, "ESCAPED", False) for module in (base64, json, secrets, socket, struct))
