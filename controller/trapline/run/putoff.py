"""Who failed is put off: it is not tried each time that somebody else is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from trapline.deploy.digest import DeployDigest
from trapline.deploy.ledger import Deployment
from trapline.state.checkpoints import Pair


class PutOff:
    """The detections that failed on a table, each until a moment or until another version is live.

    It is only remembered by the process: a new one tries at once.
    """

    def __init__(self) -> None:
        self._until: dict[Pair, tuple[DeployDigest, datetime]] = {}

    def add(self, pairs: Iterable[Pair], live: Mapping[str, Deployment], *, until: datetime) -> None:
        """They failed, and are left alone until then."""
        for identity, table in pairs:
            if identity in live:
                self._until[identity, table] = live[identity].deploy_digest, until

    def waiting(self, live: Mapping[str, Deployment], *, now: datetime, longest: timedelta) -> frozenset[Pair]:
        """Those that are left alone now; none for longer than `longest`, should the clock have jumped back."""
        return frozenset(
            (identity, table)
            for (identity, table), (version, until) in self._until.items()
            if now < until <= now + longest and identity in live and live[identity].deploy_digest == version
        )
