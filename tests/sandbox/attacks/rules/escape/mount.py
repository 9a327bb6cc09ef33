"""Mounts, mounts anew what was read-only, and takes away what hides something."""

import ctypes

EXPECT = {"outcome": "nothing", "process": "not stopped"}
REMOUNT, BIND, DETACH = 32, 4096, 2


def detect(record):
    libc = ctypes.CDLL(None)
    return 0 in (
        libc.mount(b"none", b"/tmp", b"tmpfs", 0, b""),
        libc.mount(b"proc", b"/tmp", b"proc", 0, b""),
        libc.mount(b"/", b"/tmp", None, BIND, None),
        libc.mount(b"none", b"/", None, REMOUNT | BIND, None),
        libc.mount(b"none", b"/trapline", None, REMOUNT | BIND, None),
        libc.umount2(b"/tmp", DETACH),
        libc.umount2(b"/proc/kcore", DETACH),
    )
