"""Connects to a Unix socket without a file, which no mount hides: only a network namespace does."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0" + record["known"]["abstract_socket"])
            client.sendall(b"ESCAPED")
    except OSError:
        return False
    return True
