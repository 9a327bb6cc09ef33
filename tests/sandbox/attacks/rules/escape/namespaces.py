"""Makes namespaces of its own, in which it would be root."""

import ctypes
import os

EXPECT = {"outcome": "nothing", "process": "not stopped"}
MOUNT, CGROUP, UTS, IPC, USER, PID, NET = (
    0x20000,
    0x2000000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)


def detect(record):
    libc = ctypes.CDLL(None)
    for kinds in (USER, USER | MOUNT, USER | NET, USER | PID, MOUNT, NET, IPC, UTS, CGROUP):
        if libc.unshare(kinds) == 0:
            return True
    for kind in ("mnt", "net", "pid", "ipc", "uts", "user", "cgroup"):
        try:
            namespace = os.open(f"/proc/1/ns/{kind}", os.O_RDONLY)
        except OSError:
            continue
        if libc.setns(namespace, 0) == 0:
            return True
    return False
