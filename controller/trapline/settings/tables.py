"""The tables of trapline.yml: where records are, how they are heard of, and what asking for them may cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from trapline.config.units import Duration, Period, Size
from trapline.settings.part import Part

_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DAY = "%Y-%m-%d"
_PARTS_OF_TIME = {"%Y", "%m", "%d", "%H"}
_S3_PREFIX = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?")


def _table_name(name: str) -> str:
    if not _TABLE_NAME.fullmatch(name):
        raise ValueError("a table's name is small letters, digits and `_`, and begins with a letter")
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


class IcebergSettings(Part):
    """The `iceberg` part of a table."""

    catalog: str = Field(min_length=1, description="One of `catalogs`.")
    table: str = Field(min_length=1, description="The table's name there, with its namespace: `security.cloudtrail`.")


class BudgetSettings(Part):
    """The `budget` part of a table."""

    query: Size | None = Field(default=None, gt=0, description="Bytes that one query may read.")
    day: Size | None = Field(default=None, gt=0, description="Bytes that all queries of a day (UTC) may read.")


class StreamSettings(Part):
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


class TableSettings(Part):
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


class AthenaSettings(Part):
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
