"""A detection as the rest of Trapline sees it: parsed once from detection.yml or detection.toml, frozen from then on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, NewType

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

DetectionName = NewType("DetectionName", str)


class Severity(StrEnum):
    """The severities of the documented format, least first; comparable by `rank`."""

    INFO = "info"
    NOTICE = "notice"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Mode(StrEnum):
    """How the script is called: `detect(record) -> bool` once per record, or `detect(records)` yielding matches."""

    RECORD = "record"
    BATCH = "batch"


def _parse_date(value: Any) -> Any:
    """`2022/10/23`, as the format's document writes dates; ISO dates and native YAML and TOML dates too."""
    return value.replace("/", "-") if isinstance(value, str) else value


Date = Annotated[date, BeforeValidator(_parse_date)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AlertSettings(_Part):
    """The `alert` table of a config."""

    severity: Severity = Field(Severity.INFO, description="Static severity of an alert.")
    threshold: int = Field(1, ge=1, description="Matches within one deduplication window before an alert opens.")
    deduplication_window_minutes: int = Field(
        60, ge=1, le=60 * 24 * 31, description="Minutes for which later matches join the open alert."
    )
    destinations: tuple[str, ...] = Field((), description="Destination names that alerts are delivered to.")

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.deduplication_window_minutes)


class Reports(_Part):
    """The `reports` table of a config."""

    attack: tuple[str, ...] = Field((), description="MITRE ATT&CK ids, `tactic:technique`, such as ta0006:t1110.")


class QuerySettings(_Part):
    """The `query` table of a config."""

    where: str | None = Field(None, description="A condition in Athena's SQL that every record handed over fulfils.")


class Expectation(_Part):
    """What a test case expects of one match; only what is stated is compared."""

    title: str | None = None
    dedupe: str | None = None
    severity: Severity | None = None
    destinations: tuple[str, ...] | None = None
    description: str | None = None
    runbook: str | None = None
    context: Mapping[str, Any] | None = None


class TestCase(_Part):
    """A test of the config: records in, expected matches out.

    `match` true or false, or (with several records) the number of matches. `expect` is compared with the first match.
    """

    __test__ = False  # not a pytest class

    name: str
    records: tuple[Mapping[str, Any], ...] = Field(min_length=1)
    match: bool | int
    expect: Expectation = Expectation()


class DetectionConfig(_Part):
    """Everything detection.yml and detection.toml can say, in one schema for both."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$", description="The detection's name: its identity.")
    id: str | None = Field(None, description="A unique identifier; where given, the identity instead of the name.")
    created: Date | None = Field(None, description="The creation date.")
    modified: Date | None = Field(None, description="The last modified date.")
    display_name: str | None = Field(None, description="A readable name, and the default title of alerts.")
    description: str | None = Field(None, description="What the detection finds.")
    enabled: bool = Field(False, description="Whether the detection runs.")
    runbook: str | None = Field(None, description="The steps to investigate an alert.")
    references: tuple[str, ...] = Field((), description="Links.")
    false_positives: tuple[str, ...] = Field((), description="Reasons for which an alert may be false.")
    reports: Reports = Reports()
    alert: AlertSettings = AlertSettings()
    tables: tuple[str, ...] = Field(min_length=1, description="Names of the tables to run on.")
    tags: tuple[str, ...] = ()
    query: QuerySettings = QuerySettings()
    tests: tuple[TestCase, ...] = ()

    @field_validator("tables")
    @classmethod
    def _no_table_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("a table is named twice")
        return value


class File(BaseModel):
    """One file of a detection: its bytes and whether it is executable."""

    model_config = ConfigDict(frozen=True)

    content: bytes
    executable: bool = False


class Detection(BaseModel):
    """One loaded detection: its config, its mode, and every file of its directory (relative paths)."""

    model_config = ConfigDict(frozen=True)

    config: DetectionConfig
    mode: Mode
    path: str
    files: Mapping[str, File]

    @property
    def name(self) -> DetectionName:
        return DetectionName(self.config.name)

    @property
    def identity(self) -> str:
        """What this detection is across renames of its directory: its `id` where given, else its name."""
        return self.config.id or self.config.name

    @property
    def script(self) -> str:
        """The file name of the script: `detect.py` beside detection.yml, `detection.py` beside detection.toml."""
        return "detect.py" if self.mode is Mode.RECORD else "detection.py"

    @property
    def config_file(self) -> str:
        return "detection.yml" if self.mode is Mode.RECORD else "detection.toml"

    @property
    def requirements(self) -> str:
        """The text of requirements.txt, empty where there is none."""
        file = self.files.get("requirements.txt")
        return file.content.decode() if file else ""
