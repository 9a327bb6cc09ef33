"""What a run works with, put together once by the controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trapline.alerts.record import DEFAULT_POLICY, Policy
from trapline.deploy.ledger import Ledger
from trapline.deploy.overrides import Overrides
from trapline.query.engine import Engine
from trapline.run.rules import Rules
from trapline.settings import Settings
from trapline.state.database import Database
from trapline.state.logs import Logs
from trapline.workers.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The lake, the workers, the state, the settings that hold now, what is known of the rules, the clock `now`, and
    what holds for all alerts, or by identity for those of one detection."""

    database: Database
    ledger: Ledger
    overrides: Overrides
    logs: Logs
    engine: Engine
    pool: Pool
    settings: Settings
    rules: Rules
    now: Callable[[], datetime]
    policy: Policy = DEFAULT_POLICY
    policies: Mapping[str, Policy] = field(default_factory=dict)

    def policy_of(self, identity: str) -> Policy:
        """What holds for one detection: what holds for all, where nothing else is said."""
        return self.policies.get(identity, self.policy)
