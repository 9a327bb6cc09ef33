"""Sends datagrams to the machine's own addresses and to the internet: no answer is needed to be heard."""

import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    left = False
    for address in (*record["known"]["hosts"], "203.0.113.7"):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"ESCAPED", (address, record["known"]["udp"]))
        except OSError:
            continue
        left |= not address.startswith("127.")  # a loopback of its own is no way out
    return left
