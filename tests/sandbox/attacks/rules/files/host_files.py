"""Reads files of the machine by the names that everybody knows, and one that it has been told of."""

from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}
USUAL = ("/etc/shadow", "/etc/machine-id", "/root/.bash_history", "/var/log/syslog", "/boot/grub/grub.cfg")


def detect(record):
    found = False
    for path in (*USUAL[:1], record["known"]["secret_file"]):
        for root in ("", "/proc/1/root", "/proc/self/root", "/mnt", "/host"):
            try:
                print(Path(root + path).read_text())
            except OSError:
                continue
            found = True
    return found
