"""The system calls that a worker may make: one list, as Docker wants it and as the kernel wants it.

A worker is one Python process with threads. What it has no use for is not on the list and fails with "operation not
permitted": new processes, any network but Unix sockets, other processes' memory, mounts, namespaces, kernel modules,
keys, io_uring, memory that its limits would not count (`memfd_create`, System V shared memory).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
from dataclasses import dataclass

from trapline.workers.interface import BackendUnavailable

_FILES = """
    access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64
    fstatfs fstatfs64 getcwd chdir fchdir readlink readlinkat getdents getdents64 getxattr lgetxattr fgetxattr listxattr
    llistxattr flistxattr open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev
    pwrite64 pwritev pwritev2 lseek _llseek sendfile sendfile64 copy_file_range fadvise64 readahead fsync fdatasync
    truncate ftruncate truncate64 ftruncate64 fallocate flock fcntl fcntl64 dup dup2 dup3 pipe pipe2 mkdir mkdirat rmdir
    unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat chmod fchmod fchmodat fchmodat2 chown
    fchown lchown fchownat umask utime utimes futimesat utimensat utimensat_time64
"""
_MEMORY = "mmap mmap2 munmap mprotect mremap madvise brk msync mincore mlock mlock2 munlock membarrier"
_THREADS = """
    futex futex_time64 futex_waitv set_robust_list get_robust_list set_tid_address rseq gettid arch_prctl prctl
    set_thread_area get_thread_area sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_getscheduler
    sched_get_priority_max sched_get_priority_min getcpu getpriority
"""
_SIGNALS = """
    rt_sigaction rt_sigprocmask rt_sigreturn sigreturn rt_sigpending rt_sigtimedwait rt_sigtimedwait_time64
    rt_sigsuspend rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack signalfd signalfd4 kill tkill tgkill pause
    restart_syscall
"""
_TIME = """
    clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep clock_nanosleep_time64 nanosleep
    gettimeofday time times alarm getitimer setitimer timer_create timer_settime timer_settime64 timer_gettime
    timer_gettime64 timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_settime64 timerfd_gettime
    timerfd_gettime64
"""
# The engine and bubblewrap need execve to start Python. A worker becomes a user of its own with setuid and its like,
# which do nothing for whoever has no capability left.
_PROCESS = """
    execve exit exit_group wait4 waitid getpid getppid getpgid getpgrp getsid getuid getuid32 geteuid geteuid32 getgid
    getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid
    setgid32 setgroups setgroups32 capget getrlimit ugetrlimit setrlimit prlimit64 getrusage sysinfo uname getrandom
"""
_UNIX_SOCKETS = """
    bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt sendto recvfrom sendmsg recvmsg
    sendmmsg recvmmsg recvmmsg_time64 shutdown
"""
_WAITING = """
    poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_wait
    epoll_pwait epoll_pwait2 eventfd eventfd2
"""
ALLOWED = frozenset(" ".join((_FILES, _MEMORY, _THREADS, _SIGNALS, _TIME, _PROCESS, _UNIX_SOCKETS, _WAITING)).split())


@dataclass(frozen=True, slots=True)
class Conditional:
    """Allowed where an argument, seen through `mask`, is `value`: what the kernel takes for an int has 64 bits here."""

    name: str
    argument: int
    mask: int
    value: int


_INT = 0xFFFF_FFFF
_CLONE_THREAD = 0x0001_0000
_CLONE_NAMESPACES = 0x7E02_0000
_AF_UNIX = 1
_FIONREAD, _FIONBIO, _FIOCLEX, _FIONCLEX, _TCGETS, _TIOCGWINSZ = 0x541B, 0x5421, 0x5451, 0x5450, 0x5401, 0x5413

CONDITIONAL = (
    Conditional("clone", 0, _CLONE_THREAD | _CLONE_NAMESPACES, _CLONE_THREAD),
    # A network namespace has no say over AF_VSOCK and some of AF_NETLINK.
    Conditional("socket", 0, _INT, _AF_UNIX),
    Conditional("socketpair", 0, _INT, _AF_UNIX),
    *(
        Conditional("ioctl", 1, _INT, request)
        for request in (_FIONREAD, _FIONBIO, _FIOCLEX, _FIONCLEX, _TCGETS, _TIOCGWINSZ)
    ),
)
# A filter cannot look into its arguments, which are in memory; the C library then falls back to clone.
MISSING = "clone3"


def for_docker() -> str:
    """The list as a seccomp profile of Docker's."""
    rules: list[dict[str, object]] = [{"names": sorted(ALLOWED), "action": "SCMP_ACT_ALLOW"}]
    for one in CONDITIONAL:
        test = {"index": one.argument, "value": one.mask, "valueTwo": one.value, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append({"names": [one.name], "action": "SCMP_ACT_ALLOW", "args": [test]})
    rules.append({"names": [MISSING], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS})
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.EPERM, "syscalls": rules})


_ALLOW = 0x7FFF_0000
_ERRNO = 0x0005_0000
_MASKED_EQ = 7


class _Comparison(ctypes.Structure):
    """libseccomp's `struct scmp_arg_cmp`."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


@functools.cache
def for_kernel() -> bytes:
    """The list as a program for this machine's kernel. Raises BackendUnavailable where libseccomp cannot make it."""
    library = _library()
    context = library.seccomp_init(_ERRNO | errno.EPERM)
    if not context:
        raise BackendUnavailable("libseccomp cannot make a filter")
    try:
        for name in sorted(ALLOWED):
            _add(library, context, _ALLOW, name)
        for one in CONDITIONAL:
            test = _Comparison(one.argument, _MASKED_EQ, one.mask, one.value)
            _add(library, context, _ALLOW, one.name, test)
        _add(library, context, _ERRNO | errno.ENOSYS, MISSING)
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as error:
        raise BackendUnavailable(
            f"libseccomp, which limits the system calls, cannot be loaded: {error}",
            remedy="apt-get install libseccomp2",
        ) from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


def _add(library: ctypes.CDLL, context: int, action: int, name: str, *tests: _Comparison) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:  # this machine has no such call, or only under another name
        return
    failed = library.seccomp_rule_add_array(context, action, number, len(tests), (_Comparison * len(tests))(*tests))
    if failed:
        raise BackendUnavailable(f"libseccomp refuses the rule for {name}: {os.strerror(-failed)}")


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    file = os.memfd_create("seccomp")
    try:
        if failed := library.seccomp_export_bpf(context, file):
            raise BackendUnavailable(f"libseccomp cannot export the filter: {os.strerror(-failed)}")
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)
