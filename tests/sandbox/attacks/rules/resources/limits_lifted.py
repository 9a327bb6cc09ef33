"""Asks the kernel for higher limits before it takes all memory."""

import resource

EXPECT = {"outcome": "memory", "process": "not stopped"}


def detect(record):
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
        try:
            resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError):
            continue
    kept = []
    for _ in range(2048):
        kept.append(bytearray(1024 * 1024))
    return True
