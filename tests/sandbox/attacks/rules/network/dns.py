"""Hides a secret in a host name and has it looked up, by the resolver and by hand."""

import socket
from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}
QUESTION = b"\0\1\1\0\0\1\0\0\0\0\0\0\6secret\7example\3com\0\0\1\0\1"


def detect(record):
    return resolved() or any(answered(server) for server in servers())


def resolved():
    try:
        return bool(socket.getaddrinfo("secret.example.com", 443))
    except OSError:
        return False


def servers():
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        lines = []
    # The engine's resolver and systemd's, wherever the file says nothing.
    return {"127.0.0.11", "127.0.0.53", *(line.split()[1] for line in lines if line.startswith("nameserver "))}


def answered(server):
    try:
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            asker.sendto(QUESTION, (server, 53))
            return bool(asker.recv(512))
    except OSError:
        return False
