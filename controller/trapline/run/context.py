"""What a run works with, put together once by the controller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from trapline.deploy.ledger import Ledger
from trapline.deploy.overrides import Overrides
from trapline.query.engine import Engine
from trapline.settings import Settings
from trapline.state.database import Database
from trapline.state.logs import Logs
from trapline.workers.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The lake, the workers and the state, with the settings that hold now; `now` is the clock."""

    database: Database
    ledger: Ledger
    overrides: Overrides
    logs: Logs
    engine: Engine
    pool: Pool
    settings: Settings
    now: Callable[[], datetime]
