"""The limits of a detection's worker, as config files name them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trapline.config.units import Period, Size, format_duration

Memory = Annotated[Size, Field(ge=32 * 2**20)]  # below that, Python itself does not start
Pids = Annotated[int, Field(ge=4, strict=True)]  # what watches over the time is a thread, too
Cpus = Annotated[float, Field(ge=0.01, strict=True, allow_inf_nan=False)]
MOST_MATCHES = 100_000
"""No reply is read that has more of them, whatever its size."""
Output = Annotated[Size, Field(ge=2**20)]
Matches = Annotated[int, Field(ge=1, le=MOST_MATCHES, strict=True)]


class LimitSettings(BaseModel):
    """What a worker may use; None where it is not said here. The outcomes are in docs/reference/limits.md."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    memory: Memory | None = Field(default=None, description="Memory of one worker.")
    record_timeout: Period | None = Field(default=None, description="The longest that one record may take.")
    batch_timeout: Period | None = Field(default=None, description="The longest that one batch may take.")
    cpus: Cpus | None = Field(default=None, description="Processors that one worker may use.")
    pids: Pids | None = Field(default=None, description="Threads of one worker.")
    matches: Matches | None = Field(default=None, description="Matches that one batch may have.")
    output: Output | None = Field(default=None, description="Size of what a worker answers to one batch.")
    log: Size | None = Field(default=None, description="Characters that a rule may print over one batch.")


def shown_limit(value: float | timedelta) -> str:
    """A limit as people write it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    return f"{value // 2**20}MiB" if isinstance(value, int) and value >= 2**20 and value % 2**20 == 0 else f"{value:,}"
