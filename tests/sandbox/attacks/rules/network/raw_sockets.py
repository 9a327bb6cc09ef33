"""Opens raw sockets, to forge packets and to read those of others."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}
KINDS = (
    (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
    (socket.AF_PACKET, socket.SOCK_RAW, 0x0300),
)


def detect(record):
    for kind in KINDS:
        try:
            socket.socket(*kind)
        except OSError:
            continue
        return True
    return False
