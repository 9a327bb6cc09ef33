"""All of trapline.yml, section by section."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from trapline.config.document import Document
from trapline.config.limits import MOST_MATCHES, Cpus, LimitSettings, Matches, Memory, Output, Pids
from trapline.config.units import Duration, Limit, Moment, Period, Size
from trapline.errors import Problem
from trapline.settings.packs import PackName, PackSettings, Registry
from trapline.settings.part import Part
from trapline.settings.tables import AthenaSettings, TableName, TableSettings

FILE_NAME = "trapline.yml"
_DESTINATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def _destination_name(name: str) -> str:
    if not _DESTINATION_NAME.fullmatch(name):
        raise ValueError("a destination's name is letters, digits, `_`, `-` and `.`, and begins with a letter or digit")
    return name


DestinationName = Annotated[str, AfterValidator(_destination_name)]


class DestinationSettings(BaseModel):
    """One entry of `destinations`: its type, and options for the plugin that brings the type."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(min_length=1, description="The kind of destination, from a plugin.")
    rate: Limit | None = Field(
        default=None, description="The most that is sent to it, such as `60/m`; by default what its kind takes."
    )

    @property
    def options(self) -> dict[str, Any]:
        """What is for the plugin, secrets as references; `resolve_secrets` reads these."""
        return dict(self.__pydantic_extra__ or {})


class RealtimeSettings(Part):
    """The `realtime` section."""

    sweep: Period = Field(
        default=timedelta(hours=1),
        description="How often the lake is read for what the streams have missed.",
    )
    lookback: Duration = Field(
        default=timedelta(hours=1), description="How far each sweep reaches back beyond the one before."
    )
    batch: int = Field(
        default=10_000, ge=1, strict=True, description="Records that are looked at together, at most, or one object."
    )


class ScheduleSettings(Part):
    """The `schedule` section."""

    every: Period = Field(
        default=timedelta(minutes=5), description="How often detections run that have no schedule of their own."
    )
    start: Moment | None = Field(
        default=None,
        description="Where new detections begin, in UTC; if not given, at most one run before now.",
    )
    longest_window: Period = Field(default=timedelta(days=1), description="How much one scan catches up with at most.")
    poll: Period = Field(default=timedelta(minutes=1), description="Time between two looks at the repository.")


class CeilingSettings(LimitSettings):
    """The `sandbox.ceiling` section."""

    memory: Memory = Field(default=2 * 2**30, description="Memory of one worker.")
    record_timeout: Period = Field(default=timedelta(minutes=1), description="The longest that one record may take.")
    batch_timeout: Period = Field(default=timedelta(minutes=10), description="The longest that one batch may take.")
    pids: Pids = Field(default=512, description="Threads of one worker.")
    matches: Matches = Field(default=MOST_MATCHES, description="Matches that one batch may have.")
    output: Output = Field(default=256 * 2**20, description="Size of what a worker answers to one batch.")
    log: Size = Field(default=2**20, description="Characters that a rule may print over one batch.")


class SandboxSettings(Part):
    """The `sandbox` section."""

    backend: Literal["auto", "docker", "bubblewrap", "process"] = Field(
        default="auto", description="How detections are isolated."
    )
    base_image: str | None = Field(default=None, description="The image that detections are built on (docker).")
    runtime: str | None = Field(
        default=None, min_length=1, description="The engine's runtime for containers, such as `runsc` (docker)."
    )
    memory: Memory = Field(default=512 * 2**20, description="Memory of one worker.")
    record_timeout: Period = Field(default=timedelta(seconds=5), description="The longest that one record may take.")
    batch_timeout: Period = Field(default=timedelta(seconds=60), description="The longest that one batch may take.")
    cpus: Cpus = Field(default=1.0, description="Processors that one worker may use.")
    pids: Pids = Field(default=64, description="Threads of one worker.")
    matches: Matches = Field(default=10_000, description="Matches that one batch may have.")
    output: Output = Field(default=64 * 2**20, description="Size of what a worker answers to one batch.")
    log: Size = Field(default=64 * 2**10, description="Characters that a rule may print over one batch.")
    ceiling: CeilingSettings = Field(
        default=CeilingSettings(), description="What no detection may ask for more of, and nothing above either."
    )


class InferenceSettings(Part):
    """The `inference` section."""

    enabled: bool = Field(
        default=True, strict=True, description="Whether records that a rule cannot match are kept from it."
    )
    audit_fraction: float = Field(
        default=0.001, ge=0, le=1, strict=True, description="Share of them that a rule is shown all the same, to check."
    )


class ErrorBudgetSettings(Part):
    """The `error_budget` section: a detection that is above either is quarantined, alone."""

    failures: int = Field(
        default=100,
        ge=0,
        strict=True,
        description="Records that it may fail on within an hour; one that takes all its time or the worker is ten.",
    )
    windows: int = Field(default=3, ge=1, strict=True, description="Windows in a row that it may fail on as a whole.")


class AlertsSettings(Part):
    """The `alerts` section."""

    storm: int = Field(
        default=30,
        ge=1,
        strict=True,
        description="Notifications of one detection to one destination in a minute; more are told in one.",
    )


class PruneSettings(Part):
    """The `prune` section: above either cap, removing detections waits for a person."""

    max_count: int = Field(default=10, ge=0, strict=True, description="Detections that one revision may remove.")
    max_share: float = Field(
        default=0.3, ge=0, le=1, strict=True, description="Share of all detections that one may remove."
    )
    rollbacks: int = Field(
        default=2, ge=0, le=100, strict=True, description="Earlier builds kept for each detection, to roll back to."
    )


class OnDeploySettings(Part):
    """The `on_deploy` section, secrets as references."""

    url: str = Field(min_length=1, description="Where results of deployments are POSTed to.")
    secret: str | None = Field(default=None, description="Signs every request: `whsec_` and a key in base64.")
    headers: Mapping[str, str] = Field(default_factory=dict, description="More headers, such as Authorization.")


class Settings(Part):
    """All of trapline.yml."""

    tables: Mapping[TableName, TableSettings] = Field(default_factory=dict, description="The tables, by name.")
    athena: AthenaSettings | None = Field(default=None, description="How Athena is asked, for the tables that it has.")
    catalogs: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="Iceberg catalogs by name, with the properties that PyIceberg takes."
    )
    destinations: Mapping[DestinationName, DestinationSettings] = Field(
        default_factory=dict, description="The destinations, by name."
    )
    packs: Mapping[PackName, PackSettings] = Field(
        default_factory=dict, description="The packs whose detections are used, by the name that they have here."
    )
    registries: tuple[Registry, ...] = Field(
        default=(), description="Where `trapline registry search` looks for more: addresses of indexes, or their paths."
    )
    default_destinations: tuple[str, ...] = Field(default=(), description="For detections that name none.")
    operations: tuple[str, ...] = Field(default=(), description="For alerts about Trapline's own troubles.")
    schedule: ScheduleSettings = Field(default=ScheduleSettings(), description="When things happen.")
    realtime: RealtimeSettings = Field(
        default=RealtimeSettings(), description="How detections with `realtime` are run."
    )
    sandbox: SandboxSettings = Field(default=SandboxSettings(), description="How detections are isolated.")
    inference: InferenceSettings = Field(
        default=InferenceSettings(), description="What is told from a rule's script before it runs."
    )
    error_budget: ErrorBudgetSettings = Field(
        default=ErrorBudgetSettings(), description="How often a detection may fail before it is quarantined."
    )
    alerts: AlertsSettings = Field(default=AlertsSettings(), description="How alerts are told.")
    prune: PruneSettings = Field(default=PruneSettings(), description="How many detections one revision may remove.")
    on_deploy: OnDeploySettings | None = Field(default=None, description="A webhook that is told of deployments.")

    _document: Document | None = PrivateAttr(default=None)

    def written_in(self, document: Document) -> None:
        """Where problems are placed from now on."""
        self._document = document

    def problem(
        self, path: Sequence[str | int], message: str, remedy: str = "", code: str = "invalid-value"
    ) -> Problem:
        """An error about a key of the file (such as `["destinations", "jira", "url"]`), with its line."""
        if self._document is None:
            return Problem(FILE_NAME, 0, "error", code, message, remedy)
        return self._document.problem(path, code, message, remedy)
