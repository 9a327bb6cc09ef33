"""Looks for what would give it privileges: capabilities, and a start of programs that run as their owner."""

from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}


def detect(record):
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    able = any(int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb"))
    return able or status["NoNewPrivs"] != "1" or status["Seccomp"] != "2"
