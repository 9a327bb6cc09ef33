"""Reads the memory of another process through the kernel: by file, by system call and as a debugger."""

import ctypes
import os

EXPECT = {"outcome": "nothing", "process": "not stopped"}
PTRACE_ATTACH = 16


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def detect(record):
    libc = ctypes.CDLL(None, use_errno=True)
    for pid in {record["known"]["victim"], record["known"]["controller"], os.getppid()} - {0}:
        buffer = ctypes.create_string_buffer(8)
        there, here = Part(0x400000, 8), Part(ctypes.addressof(buffer), 8)
        read = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        try:
            os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))
        except OSError:
            opened = False
        else:
            opened = True
        if read > 0 or opened or libc.ptrace(PTRACE_ATTACH, pid, 0, 0) == 0:
            return True
    return False
