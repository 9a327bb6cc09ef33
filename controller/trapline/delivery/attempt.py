"""One attempt at a delivery: it is looked up where it may have arrived already, and sent where it has not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from trapline.config.redact import hide_declared_secrets, hide_secrets
from trapline.delivery.plugins import describe_exception
from trapline.outbox.queue import QueuedDelivery
from trapline.outbox.verdict import State
from trapline_plugins.api import Delivered, Destination, Notification, Outcome, Rejected, Retry, Unknown


def attempt(destination: Destination[Any], delivery: QueuedDelivery) -> Outcome:
    """Looks a delivery up where it may have arrived already, and sends it where it has not. Never raises."""
    try:
        notification = delivery.notification
    except ValueError as error:
        return Rejected(f"this version of Trapline cannot read the delivery: {type(error).__name__}")
    outcome = _find_or_send(destination, delivery, notification)
    if isinstance(outcome, Delivered):
        return replace(outcome, ref=hide_declared_secrets(outcome.ref, destination.config))
    return replace(outcome, reason=hide_secrets(outcome.reason, destination.config))


def _find_or_send(destination: Destination[Any], delivery: QueuedDelivery, notification: Notification) -> Outcome:
    maybe_there = delivery.state is State.UNKNOWN
    try:
        if maybe_there and (found := destination.find(notification)):
            return _checked(found, "find")
        rendered = destination.render(notification)
    except (Exception, SystemExit) as error:
        # Nothing was sent now, but what was sent before may still be there.
        return (Unknown if maybe_there else Retry)(_bug(error))
    try:
        return _checked(destination.send(notification, rendered, delivery.ref), "send")
    except (Exception, SystemExit) as error:
        return Unknown(_bug(error))  # whether the request had left by then, nobody can tell


def _checked(outcome: object, method: str) -> Outcome:
    match outcome:
        case Delivered(ref=str()) | Rejected(reason=str()) | Unknown(reason=str()):
            return outcome
        case Retry(reason=str(), after=timedelta() | None):
            return outcome
    raise TypeError(f"{method} returned {outcome!r}")  # cut only once its secrets are hidden


def _bug(error: BaseException) -> str:
    return f"a bug in the plugin: {describe_exception(error)}"
