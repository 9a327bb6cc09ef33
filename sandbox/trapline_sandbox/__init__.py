"""What runs inside every worker: the record, the rule, the wire. Standard library only, nothing of ours.

What is imported here is loaded by every worker that starts, and stays in its memory: what only few rules bring about is
imported where it is needed.
"""

from trapline_sandbox.record import Record, plain

__all__ = ["Record", "plain"]
