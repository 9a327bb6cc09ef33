"""The one base error, and the problem: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


class TraplineError(Exception):
    """Something a person can act on. `remedy` says how; the command line prints both and exits with 1."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one place in a file. `line` and `column` count from 1; 0 means the file as a whole."""

    path: str
    line: int
    severity: Severity
    code: str
    message: str
    remedy: str = ""
    column: int = 0

    def __str__(self) -> str:
        place = ":".join([self.path, *(str(n) for n in (self.line, self.column) if n)])
        text = f"{place}: {self.severity}: {self.message} [{self.code}]"
        return f"{text}\n    {self.remedy}" if self.remedy else text


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of the problems is an error (a warning stops nothing)."""
    return any(p.severity == "error" for p in problems)
