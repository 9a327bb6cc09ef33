"""A detection as the rest of Trapline sees it: parsed once from detection.yml or detection.toml, then frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NewType

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from trapline.config.files import File as File
from trapline.config.limits import LimitSettings
from trapline.config.units import Moment, Period
from trapline.detection.case import TestCase as TestCase
from trapline.detection.severity import Severity as Severity
from trapline.schedule import Cron, Every, Schedule, ScheduleError, checked_cron

DetectionName = NewType("DetectionName", str)

PACKS = "packs"
"""Where the files of packs are said to lie; the repository's own detections are never there."""


def pack_folder(pack: str) -> str:
    """The folder that what a pack has is told by: `packs/aws`."""
    return f"{PACKS}/{pack}"


def pack_of(identity: str) -> str:
    """The pack whose detection is known by this; empty for one of the repository itself."""
    pack, slash, _ = identity.partition("/")
    return pack if slash else ""


OWN_IDENTITY = "trapline"
"""Whose alerts are about Trapline itself: no detection is called so."""


class Mode(StrEnum):
    """How the script is called: `detect(record) -> bool` once per record, or `detect(records)` yielding matches."""

    RECORD = "record"
    BATCH = "batch"

    @property
    def script(self) -> str:
        """The file name of the script."""
        return "detect.py" if self is Mode.RECORD else "detection.py"

    @property
    def config(self) -> str:
        """The file name of the config."""
        return "detection.yml" if self is Mode.RECORD else "detection.toml"


_DATE = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})")


def _parse_date(value: Any) -> Any:
    """`2022/10/23`, as the format's document writes dates; ISO dates and native YAML and TOML dates too."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if not (parts := _DATE.fullmatch(str(value))):
        raise ValueError("write a date such as 2022/10/23 or 2022-10-23")
    return date(int(parts[1]), int(parts[3]), int(parts[4]))


Date = Annotated[
    date,
    BeforeValidator(_parse_date),
    WithJsonSchema({"type": "string", "pattern": f"^{_DATE.pattern}$", "examples": ["2022-10-23"]}),
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_ID = re.compile(r"[!-.0-\[\]-~]{1,128}")
_PACKED = re.compile(r"[a-z][a-z0-9_-]{0,63}/[!-.0-\[\]-~]{1,128}")


def _plain_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name is 1 to 128 letters, digits, `_`, `-` and `.`, and begins with a letter or digit")
    return _not_ours(value)


def _plain_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("an id is 1 to 128 printable characters without spaces and slashes")
    return _not_ours(value)


def _not_ours(value: str) -> str:
    if value.lower() == OWN_IDENTITY:
        raise ValueError(f"`{value}` is kept for the alerts about Trapline itself: choose another")
    return value


def _packed(value: str) -> str:
    if not _PACKED.fullmatch(value):
        raise ValueError("a detection of a pack is called `pack/name`")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AlertSettings(_Part):
    """The `alert` table of a config."""

    severity: Severity = Field(default=Severity.INFO, description="Static severity of an alert.")
    threshold: int = Field(
        default=1, ge=1, strict=True, description="Matches within one deduplication window before an alert opens."
    )
    deduplication_window_minutes: int = Field(
        default=60,
        ge=1,
        le=60 * 24 * 31,
        strict=True,
        description="Minutes for which later matches join the open alert.",
    )
    destinations: tuple[str, ...] = Field(default=(), description="Destination names that alerts are delivered to.")
    auto_resolve: bool = Field(
        default=False, strict=True, description="Whether an alert is resolved when its deduplication window is over."
    )

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.deduplication_window_minutes)


AttackId = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([Tt][Aa]\d{4}(:[Tt]\d{4}(\.\d{3})?)?|[Tt]\d{4}(\.\d{3})?)$",
            "examples": ["ta0006:t1110", "ta0001:t1078.004"],
        }
    ),
]
"""A tactic and a technique of MITRE ATT&CK, or one of them. Any text is taken; `trapline validate` judges it."""


class Reports(_Part):
    """The `reports` table of a config."""

    attack: tuple[AttackId, ...] = Field(default=(), description="MITRE ATT&CK ids, such as ta0006:t1110.")


class QuerySettings(_Part):
    """The `query` table of a config."""

    where: str | None = Field(default=None, description="A condition in Athena's SQL that every record fulfils.")


def _not_too_often(period: timedelta) -> timedelta:
    if period < timedelta(seconds=1):
        raise ScheduleError("no detection runs more often than each second", remedy="write 1s or more")
    return period


class OwnSchedule(_Part):
    """The `schedule` table of a config."""

    every: Annotated[Period, AfterValidator(_not_too_often)] | None = Field(
        default=None, description="How often it runs, counted from Monday 00:00 UTC: `15m` is :00, :15, :30, :45."
    )
    cron: Annotated[str, AfterValidator(checked_cron)] | None = Field(
        default=None, description='When it runs, as a cron expression in UTC: `"30 6 * * 1-5"`.'
    )
    start: Moment | None = Field(
        default=None, description="Where it begins, in UTC; another moment later on makes it begin there again."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> OwnSchedule:
        if self.every and self.cron:
            raise ScheduleError("`every` and `cron` are both given", remedy="keep one of the two")
        return self

    @property
    def moments(self) -> Schedule | None:
        """When it is due; None where it has no schedule of its own."""
        if self.cron:
            return Cron(self.cron)
        return Every(self.every) if self.every else None


class Decision(_Part):
    """What is decided about a detection whatever its rule says of a match. None: the rule has its say."""

    severity: Severity | None = None
    destinations: tuple[str, ...] | None = None


class DetectionConfig(_Part):
    """Everything detection.yml and detection.toml can say, in one schema for both."""

    name: Annotated[str, AfterValidator(_plain_name)] = Field(description="The detection's name: its identity.")
    id: Annotated[str, AfterValidator(_plain_id)] | None = Field(
        default=None, description="A unique identifier; where given, the identity instead of the name."
    )
    created: Date | None = Field(default=None, description="The creation date.")
    modified: Date | None = Field(default=None, description="The last modified date.")
    display_name: str | None = Field(default=None, description="A readable name, and the default title of alerts.")
    description: str | None = Field(default=None, description="What the detection finds.")
    enabled: bool = Field(default=False, strict=True, description="Whether the detection runs.")
    runbook: str | None = Field(default=None, description="The steps to investigate an alert.")
    references: tuple[str, ...] = Field(default=(), description="Links.")
    false_positives: tuple[str, ...] = Field(default=(), description="Reasons for which an alert may be false.")
    reports: Reports = Field(default=Reports(), description="What the detection is about.")
    alert: AlertSettings = Field(default=AlertSettings(), description="How matches become alerts.")
    tables: tuple[str, ...] = Field(min_length=1, description="Names of the tables to run on.")
    tags: tuple[str, ...] = Field(default=(), description="Words to group detections by.")
    query: QuerySettings = Field(default=QuerySettings(), description="What is asked of the tables.")
    realtime: bool = Field(
        default=False,
        strict=True,
        description="Whether it sees records as they land, and the lake only for what was missed.",
    )
    schedule: OwnSchedule = Field(
        default=OwnSchedule(),
        description="When it runs, where `schedule` in trapline.yml does not suit; with `realtime`, when it sweeps.",
    )
    limits: LimitSettings = Field(
        default=LimitSettings(),
        description="What its worker may use, where `sandbox` in trapline.yml does not suit.",
    )
    allow_source_builds: bool = Field(
        default=False,
        strict=True,
        description="Whether requirements may be built from source, which runs their build code on the controller.",
    )
    tests: tuple[TestCase, ...] = Field(default=(), description="Tests that run on every change.")

    @property
    def identity(self) -> str:
        """What the detection is across renames of its directory: its `id` where given, else its name."""
        return self.id or self.name

    @property
    def decided(self) -> Decision:
        """What holds whatever the rule says."""
        return Decision()

    @field_validator("tables")
    @classmethod
    def _no_table_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a table is named twice")
        return value


class PackedConfig(DetectionConfig):
    """The config of a detection of a pack, with what was decided about it where the pack is used.

    No file can say this. Its names have that of the pack in front, which no others can have.
    """

    name: Annotated[str, AfterValidator(_packed)]
    id: Annotated[str, AfterValidator(_packed)] | None = None
    decision: Decision = Decision()

    @property
    def decided(self) -> Decision:
        return self.decision


def stored_config(data: Mapping[str, Any]) -> DetectionConfig:
    """A config as it was dumped."""
    return (PackedConfig if "decision" in data else DetectionConfig).model_validate(data)


class Detection(BaseModel):
    """One loaded detection: its config, its mode, and every file of its directory (relative paths)."""

    model_config = ConfigDict(frozen=True)

    config: DetectionConfig
    mode: Mode
    path: str
    files: Mapping[str, File]
    shared: frozenset[str] = frozenset()
    """The files of the repository's `lib/` among them."""
    pack: str = ""
    """The pack that it is of; empty for those of the repository itself."""
    written: DetectionConfig | None = None
    """The config as its author wrote it, where another one holds here."""

    @property
    def name(self) -> DetectionName:
        return DetectionName(self.config.name)

    @property
    def identity(self) -> str:
        """What it is known by, whatever its directory is called."""
        return self.config.identity

    @property
    def script(self) -> str:
        """The file name of the script: `detect.py` beside detection.yml, `detection.py` beside detection.toml."""
        return self.mode.script

    @property
    def config_file(self) -> str:
        return self.mode.config

    def place(self, file: str) -> str:
        """Where one of its files lies, from the root of the repository."""
        if file in self.shared:
            return f"{pack_folder(self.pack)}/{file}" if self.pack else file
        return file if self.path == "." else f"{self.path}/{file}"

    @property
    def as_written(self) -> Detection:
        """The same as its author wrote it, which is what its own tests are about."""
        return self.model_copy(update={"config": self.written}) if self.written else self

    @property
    def modules(self) -> Mapping[str, bytes]:
        """The Python files that the script may import, those of `lib/` among them, by path."""
        return {path: file.content for path, file in self.files.items() if path.endswith(".py") and path != self.script}

    @property
    def requirements(self) -> str:
        """The text of requirements.txt, empty where there is none."""
        file = self.files.get("requirements.txt")
        return file.content.decode() if file else ""
