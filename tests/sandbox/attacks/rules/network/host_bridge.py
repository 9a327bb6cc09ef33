"""Connects to the machine by the address that its containers know it by, and by the names that engines give it."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    for address in (*record["known"]["hosts"], "host.docker.internal", "gateway.docker.internal", "_gateway"):
        try:
            socket.create_connection((address, record["known"]["tcp"]), 0.3).sendall(b"ESCAPED")
        except OSError:
            continue
        return True
    return False
