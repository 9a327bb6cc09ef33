"""An index: what a pack has, for those who search. What is read was written by anybody.

Its format is versioned: a reader takes the one that it knows, and passes over keys that came later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError

from trapline.detection.model import Mode, Severity
from trapline.errors import TraplineError
from trapline.packs.manifest import Address
from trapline.settings.packs import BUILTIN, PackName
from trapline.source.remote import check_url
from trapline.source.tree import SourceError, clean_root
from trapline_plugins.text import one_line

MAX_BYTES = 16 * 1024 * 1024
MAX_DETECTIONS = 5_000
MAX_COMMAS = 60 * MAX_DETECTIONS
"""So many parts of a text, and no more, can each become a value, or an error, of many times its length."""
MAX_ENTRIES = 100
"""Of a list or mapping."""
MAX_LINE = 500
MAX_PROSE = 4000

_WHY = 300


class BrokenIndex(TraplineError):
    """An index that cannot be used."""


def _source(value: str) -> str:
    try:
        check_url(value)
    except SourceError as error:
        raise ValueError(error.message) from None
    if any(mark.isspace() for mark in value):
        raise ValueError("a source has no blanks")
    return value


def _folder(value: str) -> str:
    try:
        if value.isprintable() and clean_root(value) == value:
            return value
    except SourceError:
        pass
    raise ValueError("write the path of a folder of the source")


Line = Annotated[str, Field(max_length=MAX_LINE)]
Prose = Annotated[str, Field(max_length=MAX_PROSE)]
Lines = Annotated[tuple[Line, ...], Field(max_length=MAX_ENTRIES), FailFast()]
Revision = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
Source = Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_source)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Quality(_Part):
    """What speaks for a detection: its tests, and which show what it finds and what it leaves alone; how much of the
    rule inference understood, so that it is brought few records; whether it has a runbook."""

    tests: Count
    finds: Count
    leaves: Count
    understood: Literal["all", "part", "none"]
    runbook: bool


class Entry(_Part):
    """One detection. `schedule` is its own, such as `every 1h` or `cron 30 6 * * *`; `digest` is of all its files."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
    display_name: Line = ""
    description: Prose = ""
    tags: Lines = ()
    attack: Lines = ()
    severity: Severity
    tables: Lines = ()
    mode: Mode
    realtime: bool = False
    schedule: Line = ""
    requirements: Lines = ()
    license: Line
    references: Lines = ()
    path: Line
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    quality: Quality


class Pack(_Part):
    """The pack that an index is of. Without `source` and `revision` it is told of, and cannot be had."""

    name: PackName
    title: Line
    description: Prose
    license: Line
    homepage: Address | None = None
    authors: Lines = ()
    tables: Annotated[Mapping[Line, Prose], Field(max_length=MAX_ENTRIES)] = Field(default_factory=dict)
    source: Source | None = None
    revision: Revision | None = None
    root: Annotated[str, Field(max_length=MAX_LINE), AfterValidator(_folder)] = ""

    @property
    def is_builtin(self) -> bool:
        return self.source == BUILTIN


class Index(_Part):
    """All of an index.json."""

    format: Literal[1] = 1
    pack: Pack
    detections: Annotated[tuple[Entry, ...], Field(max_length=MAX_DETECTIONS), FailFast()]


def read(content: bytes, origin: str) -> Index:
    """The index in a text of anybody's; `origin` says where it is from. Raises BrokenIndex, and nothing else."""
    if len(content) > MAX_BYTES or content.count(b",") > MAX_COMMAS:
        message = f"the index {origin} is larger than {MAX_BYTES // 2**20} MiB, or than {MAX_DETECTIONS:,} detections"
        raise BrokenIndex(message, remedy="ask its maker to split the pack")
    try:
        return Index.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["loc"] == ("format",):
            message = f"the index {origin} is of a format that this version of Trapline does not know"
            raise BrokenIndex(message, remedy="upgrade Trapline, or ask its maker") from None
        place = ".".join(str(part) for part in first["loc"])
        message = f"the index {origin} cannot be read: {place[:_WHY]} {first['msg']}"
        remedy = "ask its maker to write it with `trapline registry index`"
        raise BrokenIndex(one_line(message, 2 * _WHY), remedy=remedy) from None


def written(index: Index) -> str:
    """The text of an index: the same for the same."""
    return json.dumps(index.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False) + "\n"
