"""What the double was told to do wrong: a list of faults, each of which is used up as it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tests.athena.errors import FAILURES

Kind = Literal["throttle", "server-error", "lose-answer", "fail", "stall", "cut-off"]

OF_CALLS = ("throttle", "server-error", "lose-answer")
OF_QUERIES = ("fail", "stall", "cut-off")


@dataclass(frozen=True, slots=True)
class Fault:
    """`times` calls of an operation, or queries whose text holds `matching`, go wrong in one way.

    `throttle` answers with the error `code`, `server-error` with the HTTP status 500, `lose-answer` does what was
    asked and drops the connection; `fail` ends a query with one of FAILURES, `stall` lets it run on for `seconds`, or
    until it is cancelled, `cut-off` ends it as the limit of a workgroup does, which AWS does not take below 10 MB.
    """

    kind: Kind
    times: int = 1
    operation: str = "StartQueryExecution"
    code: str = "ThrottlingException"
    failure: str = "internal"
    seconds: float | None = None
    matching: str = ""

    def __post_init__(self) -> None:
        if self.kind not in (*OF_CALLS, *OF_QUERIES):
            raise ValueError(f"there is no fault {self.kind!r}; there are {', '.join((*OF_CALLS, *OF_QUERIES))}")
        if self.failure not in FAILURES:
            raise ValueError(f"there is no failure {self.failure!r}; there are {', '.join(FAILURES)}")

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Fault:
        """Raises ValueError or TypeError for what is no fault."""
        return cls(**entry)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Faults:
    """Those that are still to happen, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Lets it happen, after those that were added before."""
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._pending.clear()

    @property
    def pending(self) -> list[Fault]:
        """What has still to happen."""
        with self._lock:
            return list(self._pending)

    def of_call(self, operation: str) -> Fault | None:
        """What goes wrong with this call."""
        return self._take(lambda fault: fault.kind in OF_CALLS and fault.operation in (operation, "*"))

    def of_query(self, text: str) -> Fault | None:
        """What goes wrong with this query."""
        return self._take(lambda fault: fault.kind in OF_QUERIES and fault.matching in text)

    def _take(self, fits: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            for place, fault in enumerate(self._pending):
                if fits(fault):
                    self._pending[place : place + 1] = [replace(fault, times=fault.times - 1)] * (fault.times > 1)
                    return fault
        return None
