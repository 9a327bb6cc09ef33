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
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import pluggy
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import httpx  # which takes long to load: who delivers has it

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
    """The git commit that was running."""
    digest: str
    """The build that was running."""
    table: str
    """The table that was read."""
    window_start: datetime
    """Where the window that was read begins."""
    window_end: datetime
    """Where that window ends; what is at that moment was not read."""
    query_id: str
    """The query, by the engine's name for it."""
    bytes_scanned: int
    """What the query read."""
    replay: str
    """The command that shows the alert's making again."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What is said about an alert. Every text in it may have been written by an attacker: escape it."""

    delivery_id: str
    """This delivery, the same in every attempt: an idempotency key."""
    kind: Kind
    """`opened`, `updated` or `resolved`."""
    alert_id: str
    """The alert, the same in all its notifications."""
    detection: str
    """The detection's name."""
    title: str
    """The alert's title."""
    severity: Literal["info", "notice", "low", "medium", "high", "critical"]
    """The severity, which may rise in an update."""
    dedupe: str
    """The text that the matches have in common."""
    match_count: int
    """Matches so far."""
    first_match_at: datetime
    """The event time of the first match."""
    last_match_at: datetime
    """The event time of the last match."""
    at: datetime
    """When the alert changed in this way."""
    provenance: Provenance
    """Where the alert comes from."""
    description: str | None = None
    """What the detection finds."""
    runbook: str | None = None
    """What to do about it."""
    references: tuple[str, ...] = ()
    """Links."""
    false_positives: tuple[str, ...] = ()
    """Reasons for which it may be false."""
    attack: tuple[str, ...] = ()
    """MITRE ATT&CK ids."""
    tags: tuple[str, ...] = ()
    """The detection's tags."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the rule's `alert_context` gave: plain JSON values."""
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
    """Follows no redirects. Make no client of your own."""
    now: Callable[[], datetime]
    """The time, with its zone. Read no other clock."""
    write: Callable[[str], None]
    """Writes text to the controller's terminal, whole, under one lock."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a destination takes: at most `count` notifications within any `period`."""

    count: int
    """How many notifications."""
    period: timedelta
    """Within what time."""


class DestinationConfig(BaseModel):
    """The base of every destination's settings. Secrets are `SecretStr`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Config = TypeVar("Config", bound=DestinationConfig)
Rendered = Any


class Destination(ABC, Generic[Config]):
    """A configured place to deliver to. Subclasses set `kind` and `config_model` and implement the methods."""

    kind: ClassVar[str]
    """Must be set. What `type:` says in trapline.yml: small letters, digits, `-` and `_`."""
    config_model: ClassVar[type[DestinationConfig]]
    """Must be set. Its settings, as a pydantic model; every one has a description, and secrets are `SecretStr`."""
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    """The notifications this destination wants; others are counted as delivered without being sent."""
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
        """Sends once; never sleeps, never tries again. `ref` is what the last delivery of this alert gave, or ""."""

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        """Looks up whether a delivery with an unknown outcome arrived.

        None, the default, means that it did not or that it can never be told; then it is sent again. `Unknown` means
        that it cannot be told yet; then it is looked up again later, and not sent before.
        """
        return None

    def check(self) -> str | None:
        """Says what is wrong with the settings or the connection, without side effects; None when all is well."""
        return None
