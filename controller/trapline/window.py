"""Windows: half-open time ranges of a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """`[start, end)`, both aware of their time zone."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's times carry their time zone")
        if self.end <= self.start:
            raise ValueError(f"a window ends after it starts, not {self.start} to {self.end}")

    def __str__(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"


def next_window(position: datetime, *, now: datetime, lag: timedelta, longest: timedelta) -> Window | None:
    """The next window after `position`, never into the last `lag` before now and never longer than `longest`.

    None where there is nothing to read yet; a clock that jumped back is the same.
    """
    end = min(now - lag, position + longest)
    return Window(position, end) if end > position else None
