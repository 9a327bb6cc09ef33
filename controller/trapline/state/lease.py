"""A lease: what only one may do at a time, held until a moment that passes by itself where the holder dies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from trapline.clock import Clock
from trapline.state.database import Database
from trapline.state.schema import leases


@dataclass(frozen=True, slots=True)
class Holder:
    """Who took the lease last, and whether it still counts."""

    holder: str
    expires_at: datetime
    alive: bool


class Lease:
    """One would-be holder's side of a lease. `holder` must be a name that nobody else uses, of another run neither."""

    def __init__(self, database: Database, name: str, *, holder: str, ttl: timedelta, now: Clock) -> None:
        self._database = database
        self._name = name
        self._holder = holder
        self._ttl = ttl
        self._now = now
        self._held_until: datetime | None = None

    def acquire(self) -> bool:
        """Takes the lease where it is free or expired, renews it where it is ours. Its holder calls this often."""
        try:
            with self._database.transaction() as connection:
                now = self._now()  # read inside: the transaction may have waited for its turn
                expires_at = now + self._ttl
                free = sa.or_(leases.c.holder == self._holder, leases.c.expires_at <= now)
                values = {"holder": self._holder, "expires_at": expires_at}
                taken = connection.execute(leases.update().where(self._row, free).values(**values)).rowcount > 0
                if not taken and not connection.execute(sa.select(leases.c.name).where(self._row)).first():
                    connection.execute(leases.insert().values(name=self._name, **values))
                    taken = True
        except sa.exc.IntegrityError:  # where transactions overlap, somebody else was the first
            return False
        self._held_until = expires_at if taken else None
        return self.held  # a commit that took longer than the lease gained nothing

    @property
    def held(self) -> bool:
        """Whether the lease is still ours as far as can be told without asking: for who slept, or waited long."""
        return self._held_until is not None and self._now() < self._held_until

    def release(self) -> None:
        """Gives the lease back at once, where it is ours."""
        with self._database.transaction() as connection:
            connection.execute(leases.delete().where(self._row, leases.c.holder == self._holder))

    def holder(self) -> Holder | None:
        """Who holds the lease, or held it last; None where nobody does."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(leases.c.holder, leases.c.expires_at).where(self._row)).first()
        return Holder(row.holder, row.expires_at, alive=self._now() < row.expires_at) if row else None

    @property
    def _row(self) -> sa.ColumnElement[bool]:
        return leases.c.name == self._name
