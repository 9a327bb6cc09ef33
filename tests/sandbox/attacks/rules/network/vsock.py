"""Calls the hypervisor over a socket family that network namespaces do not cover."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    try:
        socket.socket(socket.AF_VSOCK)
    except OSError:
        return False
    return True
