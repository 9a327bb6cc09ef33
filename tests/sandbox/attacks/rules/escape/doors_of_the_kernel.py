"""Knocks at those doors of the kernel that most of its holes were behind."""

import ctypes
import errno
import platform

EXPECT = {"outcome": "nothing", "process": "not stopped"}
CALLS = {
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "pidfd_getfd": (438, 438),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "syslog": (103, 116),
}
CLOSED = {errno.EPERM, errno.EACCES, errno.ENOSYS}


def detect(record):
    libc = ctypes.CDLL(None, use_errno=True)
    which = ("x86_64", "aarch64").index(platform.machine())
    for name, numbers in CALLS.items():
        ctypes.set_errno(0)
        # Without a meaning: whether the kernel looks at what it is given is the question.
        answer = libc.syscall(numbers[which], -1, 0, 0, 0, 0)
        if answer >= 0 or ctypes.get_errno() not in CLOSED:
            print(name, answer, errno.errorcode.get(ctypes.get_errno()))
            return True
    return False
