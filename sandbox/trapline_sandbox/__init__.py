"""What runs inside every worker: the record, the rule, the wire. Standard library only, nothing of ours."""

from trapline_sandbox.record import Record, plain

__all__ = ["Record", "plain"]
