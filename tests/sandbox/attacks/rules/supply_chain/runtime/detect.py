"""Has files and a dependency that stand in for modules of Trapline's own runtime."""

import sys

import trapline_sandbox
import trapline_sandbox.rule

EXPECT = {"outcome": "nothing"}


def detect(record):
    ours = [module for name, module in sys.modules.items() if name.startswith("trapline_sandbox")]
    return any(getattr(module, "ESCAPED", False) for module in (trapline_sandbox, *ours))
