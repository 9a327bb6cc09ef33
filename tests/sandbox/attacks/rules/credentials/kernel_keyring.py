"""Reads keys that the kernel keeps for the controller's session: no namespace is between them and a sandbox."""

import ctypes
import platform

EXPECT = {"outcome": "nothing", "process": "not stopped"}
KEYCTL = {"x86_64": 250, "aarch64": 219}[platform.machine()]
SEARCH, SESSION_KEYRING = 10, -3


def detect(record):
    found = ctypes.CDLL(None).syscall(KEYCTL, SEARCH, SESSION_KEYRING, b"user", record["known"]["key"].encode(), 0)
    return found > 0
