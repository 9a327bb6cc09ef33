"""Asks for a new process by the numbers of another architecture's system calls, which a filter may have forgotten.

The kernel ends the thread that does so, and the worker's clock ends the rest.
"""

import ctypes
import mmap
import os
import platform

EXPECT = {"outcome": "timeout", "process": "not stopped"}
X32 = 0x40000000
CLONE_IN_X32, SIGCHLD = X32 | 56, 17
FORK_IN_I386 = b"\x53\xb8\x02\0\0\0\xcd\x80\x5b\xc3"  # push rbx; mov eax, 2; int 0x80; pop rbx; ret


def detect(record):
    if platform.machine() != "x86_64":
        return False
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(FORK_IN_I386)
    fork = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    for way in (lambda: ctypes.CDLL(None).syscall(CLONE_IN_X32, SIGCHLD, 0, 0, 0, 0), fork):
        child = way()
        if child == 0:
            os._exit(0)
        if child > 0:
            return True
    return False
