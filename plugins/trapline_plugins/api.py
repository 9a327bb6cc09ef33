"""The plugin API on one page; its version is that of the distribution `trapline-plugins`.

A plugin is a distribution with an entry point in the group `trapline`, whose module has hook implementations:

    from trapline_plugins.api import Destination, hookimpl

    class Teams(Destination): ...

    @hookimpl
    def register_destinations() -> list[type[Destination]]:
        return [Teams]

Hooks register; the router then calls instances. A destination never sleeps and never retries: it says what happened,
and the router decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, TypeVar

import httpx
import pluggy
from pydantic import BaseModel, ConfigDict

ENTRY_POINT_GROUP = "trapline"

hookspec = pluggy.HookspecMarker("trapline")
hookimpl = pluggy.HookimplMarker("trapline")


@hookspec
def register_destinations() -> list[type[Destination[Any]]]:  # type: ignore[empty-body]
    """Return the destination classes this plugin brings."""


class Kind(StrEnum):
    """What a notification says about its alert."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an alert comes from, and the command that shows it again."""

    revision: str
    digest: str
    table: str
    window_start: datetime
    window_end: datetime
    query_id: str
    bytes_scanned: int
    replay: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What is said about an alert. Every text in it may have been written by an attacker: escape it."""

    delivery_id: str
    kind: Kind
    alert_id: str
    detection: str
    title: str
    severity: Literal["info", "notice", "low", "medium", "high", "critical"]
    dedupe: str
    match_count: int
    first_match_at: datetime
    last_match_at: datetime
    at: datetime
    provenance: Provenance
    description: str | None = None
    runbook: str | None = None
    references: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    attack: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[Mapping[str, Any], ...] = ()
    """Example records of the alert, plain JSON values, at most a few."""
    resolution: str | None = None
    """Who or what resolved the alert, and why; None while it is open."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The other side has it. `ref` is its name for it there (a message id, an issue key), kept with the delivery."""

    ref: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """It was not taken, and may be later: after `after` where the other side said when, else after a back-off."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """It will never be taken as it is; a person must act."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It was sent and the answer was lost. The router asks `find` before it sends again."""

    reason: str


Outcome = Delivered | Retry | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Tools:
    """What a destination is handed: it makes no clients and reads no clocks of its own."""

    http: httpx.Client
    now: Callable[[], datetime]
    write: Callable[[str], None]
    """Writes text to the controller's terminal, whole, under one lock."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a destination takes: at most `count` notifications within any `period`."""

    count: int
    period: timedelta


class DestinationConfig(BaseModel):
    """The base of every destination's settings. Secrets are `SecretStr`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Config = TypeVar("Config", bound=DestinationConfig)
Rendered = Any


class Destination(ABC, Generic[Config]):
    """A configured place to deliver to. Subclasses set `kind` and `config_model` and implement the methods."""

    kind: ClassVar[str]
    """What `type:` says in trapline.yml."""
    config_model: ClassVar[type[DestinationConfig]]
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    """The notifications this destination wants; others are not delivered to it."""
    idempotent: ClassVar[bool] = False
    """Whether the other side drops a second delivery with the same id by itself."""
    rate: ClassVar[Rate | None] = None
    """How much the other side takes by its documentation; `rate:` in trapline.yml goes before it."""
    at_once: ClassVar[int] = 4
    """How many threads may call an instance at once, each about another alert; 1 where it is not made for several."""

    def __init__(self, name: str, config: Config, tools: Tools) -> None:
        self.name = name
        self.config = config
        self.tools = tools

    @abstractmethod
    def render(self, notification: Notification) -> Rendered:
        """What will be sent: pure, deterministic, inside every limit of the other side."""

    @abstractmethod
    def send(self, notification: Notification, rendered: Rendered, ref: str) -> Outcome:
        """Sends once. `ref` is what an earlier delivery about the same alert gave, or empty."""

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        """Looks up whether a delivery with an unknown outcome arrived; None means it did not, or cannot be told.

        `Unknown` means that it cannot be told yet: it is looked up again later, and not sent before.
        """
        return None

    def check(self) -> str | None:
        """Says what is wrong with the settings or the connection, without side effects; None when all is well."""
        return None
