"""Connects to what listens on the controller's loopback: databases and admin pages that trust the machine."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    for address in ("127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0"):
        try:
            socket.create_connection((address, record["known"]["tcp"]), 0.3).sendall(b"ESCAPED")
        except OSError:
            continue
        return True
    return False
