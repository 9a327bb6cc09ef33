"""Opens for writing those files of the kernel that have it run a program, or stop the machine."""

import os

EXPECT = {"outcome": "nothing", "process": "not stopped"}
SETTINGS = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/release_agent",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/kernel/debug/tracing/trace_marker",
)


def detect(record):
    for path in SETTINGS:
        try:
            os.close(os.open(path, os.O_WRONLY))  # opened is escaped; nothing is written
        except OSError:
            continue
        return True
    return False
