"""Talks to the kernel's own services for network, devices and audit."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}
ROUTE, AUDIT, UEVENT, GENERIC = 0, 9, 15, 16


def detect(record):
    for service in (ROUTE, AUDIT, UEVENT, GENERIC):
        try:
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, service)
        except OSError:
            continue
        return True
    return False
