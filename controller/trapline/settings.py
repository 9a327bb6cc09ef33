"""trapline.yml: the tables, destinations, schedule and limits of a detections repository."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from trapline.config.document import Document, UnreadableConfig, present, read_document
from trapline.config.files import File
from trapline.config.limits import MOST_MATCHES, Cpus, LimitSettings, Matches, Memory, Output, Pids, shown_limit
from trapline.config.secrets import FORMS, is_reference, references
from trapline.config.secrets import resolve_secrets as resolve_secrets
from trapline.config.units import Duration, Limit, Moment, Period, Size
from trapline.config.words import did_you_mean, explain, unknown_keys
from trapline.errors import Problem, TraplineError, has_errors

FILE_NAME = "trapline.yml"
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DESTINATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_DAY = "%Y-%m-%d"
_PARTS_OF_TIME = {"%Y", "%m", "%d", "%H"}
_S3_PREFIX = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?")
_SECTIONS = ("schedule", "realtime", "sandbox", "inference", "error_budget", "alerts", "prune")


class SettingsError(TraplineError):
    """trapline.yml cannot be used; `problems` says why, warnings included."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = next(problem for problem in problems if problem.severity == "error")
        place = f"{first.path}:{first.line}" if first.line else first.path
        super().__init__(f"{place}: {first.message}", remedy=first.remedy)
        self.problems = tuple(problems)


def _table_name(name: str) -> str:
    if not _TABLE_NAME.fullmatch(name):
        raise ValueError("a table's name is small letters, digits and `_`, and begins with a letter")
    return name


def _destination_name(name: str) -> str:
    if not _DESTINATION_NAME.fullmatch(name):
        raise ValueError("a destination's name is letters, digits, `_`, `-` and `.`, and begins with a letter or digit")
    return name


def _partition(value: Any) -> Any:
    return {value: _DAY} if isinstance(value, str) else value


def _in_hours_or_days(value: Mapping[str, str]) -> Mapping[str, str]:
    for column, form in value.items():
        unknown = sorted(set(re.findall("%.?", form)) - _PARTS_OF_TIME)
        if not column or unknown or "%" not in form:
            kinds = " ".join(sorted(_PARTS_OF_TIME))
            raise ValueError(f"write each partition as `column: format`, the format with one or more of {kinds}")
    return value


def _s3_prefix(value: str) -> str:
    if not _S3_PREFIX.fullmatch(value):
        raise ValueError("write it as s3://bucket/prefix/")
    return value if value.endswith("/") else f"{value}/"


Partition = Annotated[
    Mapping[str, str],
    BeforeValidator(_partition),
    AfterValidator(_in_hours_or_days),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]},
    ),
]
TableName = Annotated[str, AfterValidator(_table_name)]
DestinationName = Annotated[str, AfterValidator(_destination_name)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class IcebergSettings(_Part):
    """The `iceberg` part of a table."""

    catalog: str = Field(min_length=1, description="One of `catalogs`.")
    table: str = Field(min_length=1, description="The table's name there, with its namespace: `security.cloudtrail`.")


class BudgetSettings(_Part):
    """The `budget` part of a table."""

    query: Size | None = Field(default=None, gt=0, description="Bytes that one query may read.")
    day: Size | None = Field(default=None, gt=0, description="Bytes that all queries of a day (UTC) may read.")


class StreamSettings(_Part):
    """The `stream` part of a table: how its records are heard of as they land."""

    type: Literal["directory", "s3-events", "sqs", "kinesis"] = Field(
        description="`directory`: new files in the table's folder. `s3-events`: notifications of new objects on a "
        "queue. `sqs` and `kinesis`: the records themselves, as JSON."
    )
    queue: str | None = Field(default=None, min_length=1, description="URL of the SQS queue (s3-events, sqs).")
    name: str | None = Field(default=None, min_length=1, description="Name or ARN of the data stream (kinesis).")
    format: Literal["table", "cloudtrail"] = Field(
        default="table",
        description="`table`: records as the table has them (Parquet, JSON lines). `cloudtrail`: CloudTrail's own "
        "deliveries or events, normalised as by `tables import`.",
    )
    region: str | None = Field(default=None, min_length=1, description="The region; the environment's if not given.")
    role: str | None = Field(default=None, min_length=1, description="ARN of a role to assume.")
    external_id: str | None = Field(default=None, min_length=1, description="The external id that the role asks for.")
    pause: Period = Field(
        default=timedelta(milliseconds=500), description="How long records are collected before they are looked at."
    )
    largest: Size = Field(
        default=256 * 2**20, gt=0, description="Objects larger than this are left to the sweep (s3-events, directory)."
    )

    @model_validator(mode="after")
    def _has_its_place(self) -> StreamSettings:
        wanted = {"s3-events": "queue", "sqs": "queue", "kinesis": "name"}.get(self.type)
        if wanted and getattr(self, wanted) is None:
            raise ValueError(f"a stream of the type {self.type} has a `{wanted}`")
        for key in {"queue", "name"} - {wanted}:
            if getattr(self, key) is not None:
                raise ValueError(f"`{key}` does not belong to a stream of the type {self.type}")
        return self


class TableSettings(_Part):
    """One entry of `tables`."""

    engine: Literal["duckdb", "athena"] = Field(default="duckdb", description="The query engine.")
    path: str | None = Field(
        default=None, min_length=1, description="Folder of Parquet files, relative to the controller's home (duckdb)."
    )
    iceberg: IcebergSettings | None = Field(default=None, description="An Iceberg table instead of a folder (duckdb).")
    database: str | None = Field(
        default=None, min_length=1, description="The Glue database; `athena.database` if not given (athena)."
    )
    name: str | None = Field(
        default=None, min_length=1, description="The table's name in Glue; the entry's if not given (athena)."
    )
    time: str = Field(default="ts", min_length=1, description="The column with a record's time.")
    id: str | None = Field(default="event.id", description="Dotted path of a record's unique id; null for none.")
    partition: Partition = Field(
        default_factory=dict,
        description='Hive partition columns and what of a record\'s time they hold, such as `{day: "%Y-%m-%d"}`; '
        "a name alone is that of a day.",
    )
    lag: Duration = Field(default=timedelta(), description="How late records may arrive.")
    overlap: Duration = Field(
        default=timedelta(), description="How far each window reaches back, for records that came later than that."
    )
    budget: BudgetSettings = Field(default=BudgetSettings(), description="What its queries may read.")
    stream: StreamSettings | None = Field(
        default=None,
        description="How its records are heard of as they land, for detections with `realtime`; of a table with a "
        "`path`, new files there if not given.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> TableSettings:
        if self.engine == "duckdb" and (self.path is None) == (self.iceberg is None):
            raise ValueError("a table of the engine duckdb has either `path` or `iceberg`")
        for key in ("path", "iceberg") if self.engine == "athena" else ("database", "name"):
            if getattr(self, key) is not None:
                raise ValueError(f"`{key}` does not belong to a table of the engine {self.engine}")
        if self.stream and self.stream.type == "directory" and self.path is None:
            raise ValueError("only a table with a `path` has a stream of the type directory")
        return self

    @property
    def lands(self) -> StreamSettings | None:
        """The stream of the table, as given or as it has one anyway; None where it has none."""
        return self.stream or (StreamSettings(type="directory") if self.path else None)


class AthenaSettings(_Part):
    """The `athena` section: how Amazon Athena is asked."""

    output: Annotated[str, AfterValidator(_s3_prefix)] = Field(
        description="`s3://bucket/prefix/` below which results are written, and removed again."
    )
    region: str | None = Field(default=None, min_length=1, description="The region; the environment's if not given.")
    workgroup: str = Field(default="primary", min_length=1, description="The workgroup.")
    catalog: str = Field(default="AwsDataCatalog", min_length=1, description="The data catalog.")
    database: str = Field(default="default", min_length=1, description="The Glue database of tables that name none.")
    role: str | None = Field(default=None, min_length=1, description="ARN of a role to assume.")
    external_id: str | None = Field(default=None, min_length=1, description="The external id that the role asks for.")
    kms_key: str | None = Field(default=None, min_length=1, description="The KMS key that results are encrypted with.")
    reuse: Duration = Field(default=timedelta(), description="How old a result may be to be used again.")
    concurrency: int = Field(default=20, ge=1, le=1000, strict=True, description="Queries at once.")
    timeout: Period = Field(default=timedelta(minutes=30), description="After which a query is cancelled.")
    price_per_tb: float = Field(default=5.0, ge=0, description="US dollars for reading a terabyte (1024 GiB).")


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


class RealtimeSettings(_Part):
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


class ScheduleSettings(_Part):
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


class SandboxSettings(_Part):
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


class InferenceSettings(_Part):
    """The `inference` section."""

    enabled: bool = Field(
        default=True, strict=True, description="Whether records that a rule cannot match are kept from it."
    )
    audit_fraction: float = Field(
        default=0.001, ge=0, le=1, strict=True, description="Share of them that a rule is shown all the same, to check."
    )


class ErrorBudgetSettings(_Part):
    """The `error_budget` section: a detection that is above either is quarantined, alone."""

    failures: int = Field(
        default=100,
        ge=0,
        strict=True,
        description="Records that it may fail on within an hour; one that takes all its time or the worker is ten.",
    )
    windows: int = Field(default=3, ge=1, strict=True, description="Windows in a row that it may fail on as a whole.")


class AlertsSettings(_Part):
    """The `alerts` section."""

    storm: int = Field(
        default=30,
        ge=1,
        strict=True,
        description="Notifications of one detection to one destination in a minute; more are told in one.",
    )


class PruneSettings(_Part):
    """The `prune` section: above either cap, removing detections waits for a person."""

    max_count: int = Field(default=10, ge=0, strict=True, description="Detections that one revision may remove.")
    max_share: float = Field(
        default=0.3, ge=0, le=1, strict=True, description="Share of all detections that one may remove."
    )
    rollbacks: int = Field(
        default=2, ge=0, le=100, strict=True, description="Earlier builds kept for each detection, to roll back to."
    )


class OnDeploySettings(_Part):
    """The `on_deploy` section, secrets as references."""

    url: str = Field(min_length=1, description="Where results of deployments are POSTed to.")
    secret: str | None = Field(default=None, description="Signs every request: `whsec_` and a key in base64.")
    headers: Mapping[str, str] = Field(default_factory=dict, description="More headers, such as Authorization.")


class Settings(_Part):
    """All of trapline.yml."""

    tables: Mapping[TableName, TableSettings] = Field(default_factory=dict, description="The tables, by name.")
    athena: AthenaSettings | None = Field(default=None, description="How Athena is asked, for the tables that it has.")
    catalogs: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="Iceberg catalogs by name, with the properties that PyIceberg takes."
    )
    destinations: Mapping[DestinationName, DestinationSettings] = Field(
        default_factory=dict, description="The destinations, by name."
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

    def problem(
        self, path: Sequence[str | int], message: str, remedy: str = "", code: str = "invalid-value"
    ) -> Problem:
        """An error about a key of the file (such as `["destinations", "jira", "url"]`), with its line."""
        if self._document is None:
            return Problem(FILE_NAME, 0, "error", code, message, remedy)
        return self._document.problem(path, code, message, remedy)


def load(files: Mapping[str, File], *, env: Mapping[str, str] | None = None) -> tuple[Settings, list[Problem]]:
    """The settings of a repository; the defaults, and a warning, where it has no trapline.yml."""
    file = files.get(FILE_NAME)
    if file is None:
        found = "trapline.yaml is not read" if "trapline.yaml" in files else "the repository has no trapline.yml"
        remedy = "rename it to trapline.yml" if "trapline.yaml" in files else "add one at its root, with `tables:`"
        return Settings(), [Problem(FILE_NAME, 0, "warning", "no-settings", f"{found}: defaults are used", remedy)]
    if file.absent:
        raise SettingsError([Problem(FILE_NAME, 0, "error", "file-not-read", f"the file {file.absent}")])
    return parse(file.content, env=env)


def parse(
    text: bytes, *, path: str = FILE_NAME, env: Mapping[str, str] | None = None
) -> tuple[Settings, list[Problem]]:
    """The settings and warnings. Raises SettingsError. With `env`, secrets that are not set in it are warned of."""
    try:
        document = read_document(path, text)
    except UnreadableConfig as error:
        if error.problem.code == "empty":
            return Settings(), [replace(error.problem, severity="warning")]
        raise SettingsError([error.problem]) from None
    data = present(document.data, groups=_SECTIONS)
    problems = [*document.warnings, *unknown_keys(Settings, document, data), *_misplaced(document, data)]
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError([*problems, *explain(error, document, data)]) from None
    settings._document = document
    problems += [
        *_unknown_destinations(settings),
        *_unknown_lakes(settings),
        *_above_ceiling(settings),
        *_secrets(settings, document, env),
    ]
    if has_errors(problems):
        raise SettingsError(problems)
    return settings, problems


def _misplaced(document: Document, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Ignoring this one would leave somebody in the belief that commits are verified."""
    if "verify" in data:
        message = "commits are not verified by what they say themselves"
        remedy = "remove it, and start the controller with --verify ssh (or gpg) --trusted-keys FILE"
        yield document.problem(("verify",), "misplaced", message, remedy)


def _unknown_destinations(settings: Settings) -> Iterator[Problem]:
    known: Collection[str] = settings.destinations
    for key in ("default_destinations", "operations"):
        for index, name in enumerate(getattr(settings, key)):
            if name not in known:
                remedy = f"{did_you_mean(name, known)} add it under destinations: or fix the name".strip()
                message = f"there is no destination `{name}`"
                yield settings.problem((key, index), message, remedy, "unknown-destination")


def _unknown_lakes(settings: Settings) -> Iterator[Problem]:
    for name, table in settings.tables.items():
        place = ("tables", name)
        if table.engine == "athena" and settings.athena is None:
            message, remedy = f"`{name}` is Athena's, and there is no `athena` section", "add athena: with an output:"
            yield settings.problem((*place, "engine"), message, remedy, "no-athena")
        if table.iceberg and table.iceberg.catalog not in settings.catalogs:
            message = f"there is no catalog `{table.iceberg.catalog}`"
            near = did_you_mean(table.iceberg.catalog, settings.catalogs)
            remedy = f"{near} add it under catalogs: or fix the name".strip()
            yield settings.problem((*place, "iceberg", "catalog"), message, remedy, "unknown-catalog")


def _above_ceiling(settings: Settings) -> Iterator[Problem]:
    sandbox = settings.sandbox
    for name, most in sandbox.ceiling.model_dump(exclude_none=True).items():
        if getattr(sandbox, name) > most:
            message = f"`sandbox.{name}` is above `sandbox.ceiling.{name}`, which is {shown_limit(most)}"
            yield settings.problem(("sandbox", name), message, "lower it, or raise the ceiling", "above-ceiling")


def _secrets(settings: Settings, document: Document, env: Mapping[str, str] | None) -> Iterator[Problem]:
    users: list[tuple[tuple[str, ...], Any, str]] = [
        (("destinations", name), destination.options, f"`{name}` cannot deliver")
        for name, destination in settings.destinations.items()
    ]
    users += [
        (("catalogs", name), properties, f"the tables of `{name}` cannot be read")
        for name, properties in settings.catalogs.items()
    ]
    if settings.on_deploy:
        users.append((("on_deploy",), settings.on_deploy.model_dump(), "nobody can be told of deployments"))
    for place, options, consequence in users:
        for keys, reference in references(options):
            if not is_reference(reference):
                message = f"${{{reference}}} is no reference to a secret"
                remedy = f"write {FORMS}"
                yield settings.problem((*place, *keys), message, remedy, "invalid-reference")
            elif env is not None and (variable := reference.removeprefix("env:")) != reference and variable not in env:
                message = f"{variable} is not set in this environment, so that {consequence} from here"
                remedy = f"set {variable} where the controller runs"
                yield document.problem((*place, *keys), "secret-not-set", message, remedy, severity="warning")
