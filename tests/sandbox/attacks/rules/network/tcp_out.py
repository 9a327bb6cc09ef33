"""Connects to addresses of the internet, over IPv4 and IPv6, to hand over what it found."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    for address in ("203.0.113.7", "2001:db8::7"):  # set aside for documentation: nobody's
        try:
            socket.create_connection((address, 443), 0.3)
        except TimeoutError:
            return True  # it left the machine, and nobody answered
        except OSError:
            continue
        return True
    return False
