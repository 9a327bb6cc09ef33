"""Trying a destination: what it says of itself without side effects, and an alert that is marked as a test."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from trapline.config.redact import hide_secrets
from trapline.delivery.attempt import attempt
from trapline.delivery.plugins import describe_exception
from trapline.outbox.queue import QueuedDelivery, State, encode
from trapline_plugins.api import Delivered, Destination, Kind, Notification, Outcome, Provenance

TITLE = "[TEST] Trapline tries this destination: nothing has happened"


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one notification of the test alert."""

    kind: Kind
    outcome: Outcome

    @property
    def delivered(self) -> bool:
        return isinstance(self.outcome, Delivered)


def check(destination: Destination[Any]) -> str | None:
    """What is wrong with a destination as far as can be seen without delivering; None when all is well."""
    try:
        said = destination.check()
    except (Exception, SystemExit) as error:
        said = f"a bug in the plugin: {describe_exception(error)}"
    return None if said is None else hide_secrets(said, destination.config)


def send_test(destination: Destination[Any], *, now: datetime) -> list[Tried]:
    """Opens an alert there that is marked as a test, and resolves it again; past the outbox, each tried once."""
    opened = _notification(destination.name, now)
    resolved = replace(opened, kind=Kind.RESOLVED, delivery_id=uuid.uuid4().hex)
    tried: list[Tried] = []
    ref = ""
    for notification in (opened, resolved):
        if notification.kind not in destination.kinds:
            continue
        outcome = attempt(destination, _queued(destination.name, notification, ref, now))
        tried.append(Tried(notification.kind, outcome))
        if not isinstance(outcome, Delivered):
            break
        ref = outcome.ref
    return tried


def _notification(destination: str, now: datetime) -> Notification:
    alert = f"test-{uuid.uuid4().hex[:12]}"
    return Notification(
        delivery_id=uuid.uuid4().hex,
        kind=Kind.OPENED,
        alert_id=alert,
        detection="trapline_test",
        title=TITLE,
        severity="info",
        dedupe=alert,
        match_count=1,
        first_match_at=now,
        last_match_at=now,
        at=now,
        provenance=Provenance(
            revision="",
            digest="",
            table="",
            window_start=now,
            window_end=now,
            query_id="",
            bytes_scanned=0,
            replay=f"trapline destinations test {destination}",
        ),
        description="Somebody ran `trapline destinations test`, to see whether alerts arrive here.",
        runbook="Nothing is to be done.",
        tags=("test",),
        context={"test": True},
    )


def _queued(destination: str, notification: Notification, ref: str, now: datetime) -> QueuedDelivery:
    return QueuedDelivery(
        id=notification.delivery_id,
        sequence=0,
        destination=destination,
        alert_id=notification.alert_id,
        kind=notification.kind.value,
        state=State.PENDING,
        attempts=0,
        created_at=now,
        payload=encode(notification),
        ref=ref,
    )
