"""Opens the disks, the memory and the kernel's log as devices, and makes itself a device of its own."""

import os
import stat

EXPECT = {"outcome": "nothing", "process": "not stopped"}
DEVICES = ("/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/fuse", "/dev/kvm")


def detect(record):
    for path in DEVICES:
        try:
            os.open(path, os.O_RDONLY)
        except OSError:
            continue
        return True
    try:
        os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    except OSError:
        return False
    return True
