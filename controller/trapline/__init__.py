"""Trapline: a GitOps controller for security detections.

A house of floors: `cli` on top, then `controller`, `run`, the rooms `deploy`, `query` and `alerts`, then `workers` and
`state`, and `source`, `detection` and `tables` on the ground. A room imports only from lower floors.
"""

__version__ = "0.1.0"
