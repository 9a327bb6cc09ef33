"""Windows: half-open time ranges of a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

NO_TIME = timedelta()


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


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before `position` was seen, from `start` on; None where an earlier Trapline did not note the start.

    `streamed` is since when records are seen as they land, too; None where they are not.
    """

    position: datetime
    start: datetime | None = None
    streamed: datetime | None = None

    def window(self, *, until: datetime, longest: timedelta | None, overlap: timedelta = NO_TIME) -> Window | None:
        """The next window: not beyond `until`, and not more than `longest` of what is new.

        It reaches back by the `overlap`, though not before the start. None where there is nothing new to read, as after
        a clock jumped back.
        """
        if until <= self.position:
            return None
        end = until if longest is None or until - self.position <= longest else self.position + longest
        return Window(self._back(overlap), end)

    def _back(self, overlap: timedelta) -> datetime:
        if self.start is not None and self.position - self.start <= overlap:
            return self.start
        return self.position - overlap
