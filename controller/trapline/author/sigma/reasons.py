"""Why a rule is not converted: where in it, and what to do."""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "sigma-aggregation",
    "sigma-collection",
    "sigma-condition",
    "sigma-correlation",
    "sigma-field",
    "sigma-keywords",
    "sigma-logsource",
    "sigma-modifier",
    "sigma-rule",
    "sigma-value",
]
Keys = tuple[str | int, ...]


class NotConverted(Exception):
    """A rule cannot be said exactly. `keys` lead to the place in it."""

    def __init__(self, keys: Keys, code: Code, message: str, remedy: str) -> None:
        super().__init__(message)
        self.keys, self.code, self.message, self.remedy = keys, code, message, remedy
