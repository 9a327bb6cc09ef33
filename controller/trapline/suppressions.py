"""suppressions.yml: which matches raise no alerts, who says so, why, and until when."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cached_property, lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from trapline.config.document import Document, UnreadableConfig, read_document
from trapline.config.files import File
from trapline.config.words import did_you_mean, explain, unknown_keys
from trapline.errors import Problem, has_errors
from trapline.fingerprint import fingerprint

FILE_NAME = "suppressions.yml"
RENEW = "remove it, or give it another `expires` where its reason still holds"

Scalar = str | bool | int | float


def _several(value: Any) -> Any:
    """One value is as good as a list of it."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(one, str | bool | int | float) for one in values):
        raise ValueError("write one value, or a list of values: texts, numbers, true or false")
    return tuple(values)


_ONE: dict[str, Any] = {"type": ["string", "boolean", "number"]}
Values = Annotated[
    tuple[Scalar, ...],
    BeforeValidator(_several),
    WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}),
]


class Suppression(BaseModel):
    """One entry: the matches that fulfil all of it raise no alert."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    detection: str | None = Field(
        default=None, min_length=1, description="The detection's name or id; `*` stands for any text."
    )
    dedupe: str | None = Field(default=None, min_length=1, description="The dedupe key; `*` stands for any text.")
    fields: Mapping[str, Values] = Field(
        default_factory=dict,
        description="Values of the record by dotted path: one, or a list of which any will do; `*` as above.",
    )
    owner: str = Field(min_length=1, description="Who answers for it.")
    reason: str = Field(min_length=1, description="Why these matches need no alert.")
    expires: date = Field(description="The first day, in UTC, whose events it does not suppress any more.")

    @model_validator(mode="after")
    def _narrow(self) -> Suppression:
        if self.detection is None and self.dedupe is None and not self.fields:
            raise ValueError("it would suppress every match: give it `detection`, `dedupe` or `fields`")
        return self

    @cached_property
    def id(self) -> str:
        """What it is known by: a digest of what it suppresses, so that a renewed one stays the same."""
        said = self.model_dump(mode="json", include={"detection", "dedupe", "fields"})
        return fingerprint(json.dumps(said, sort_keys=True).encode())[:12]

    @property
    def ends_at(self) -> datetime:
        """The time of events from which on it no longer holds."""
        return datetime.combine(self.expires, time(), UTC)

    @property
    def ended(self) -> str:
        """Whose it was, until when, and what for."""
        return f"the suppression of {self.owner} ended on {self.expires}: {self.reason}"

    def concerns(self, *names: str) -> bool:
        """Whether it can suppress matches of a detection with one of these names."""
        return self.detection is None or any(_is_like(name, self.detection) for name in names)

    def covers(self, dedupe: str, event_at: datetime, record: Callable[[], Any]) -> bool:
        """Whether it suppresses a match of a detection that it concerns; `record` is called only where it is needed."""
        if event_at >= self.ends_at or not (self.dedupe is None or _is_like(dedupe, self.dedupe)):
            return False
        return all(_any_of(record(), path.split("."), wanted) for path, wanted in self.fields.items())


class SuppressionsFile(BaseModel):
    """The file as a whole."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    suppressions: tuple[Suppression, ...] = ()


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What suppressions.yml says. `lines` has the line of each entry."""

    entries: Sequence[Suppression] = ()
    lines: Sequence[int] = ()

    def concerning(self, *names: str) -> list[Suppression]:
        """Those that a detection with one of these names may be concerned by."""
        return [entry for entry in self.entries if entry.concerns(*names)]

    def over(self, now: datetime) -> list[Suppression]:
        """Those that no longer hold for what happens from now on."""
        return [entry for entry in self.entries if entry.ends_at <= now]

    def unknown(self, names: Collection[str]) -> Iterator[Problem]:
        """A warning of each that is about none of these detections."""
        for entry, line in zip(self.entries, self.lines, strict=True):
            if not any(entry.concerns(name) for name in names):
                message = f"there is no detection `{entry.detection}`, so that nothing is suppressed"
                near = did_you_mean(entry.detection or "", names)
                remedy = f"{near} fix the name, or remove it".strip()
                yield Problem(FILE_NAME, line, "warning", "unknown-detection", message, remedy)

    def expired(self, now: datetime) -> Iterator[Problem]:
        """A warning of each that is over."""
        for entry, line in zip(self.entries, self.lines, strict=True):
            if entry.ends_at <= now:
                yield Problem(FILE_NAME, line, "warning", "suppression-expired", entry.ended, RENEW)


class SuppressionsError(Exception):
    """suppressions.yml cannot be used; `problems` says why, warnings included."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def load(files: Mapping[str, File]) -> tuple[Suppressions, bytes, list[Problem]]:
    """What a repository's suppressions.yml says, its text, and warnings. Raises SuppressionsError."""
    file = files.get(FILE_NAME)
    if file is None:
        if (wrong := "suppressions.yaml") in files:
            remedy = f"rename it to {FILE_NAME}"
            return Suppressions(), b"", [Problem(wrong, 0, "warning", "not-read", f"{wrong} is not read", remedy)]
        return Suppressions(), b"", []
    if file.absent:
        raise SuppressionsError([Problem(FILE_NAME, 0, "error", "file-not-read", f"the file {file.absent}")])
    found, problems = parse(file.content)
    return found, file.content, problems


def parse(text: bytes) -> tuple[Suppressions, list[Problem]]:
    """The suppressions and warnings. Raises SuppressionsError: of a file with an error in it nothing holds."""
    if not text:
        return Suppressions(), []
    try:
        document = read_document(FILE_NAME, text)
    except UnreadableConfig as error:
        if error.problem.code == "empty":
            return Suppressions(), [replace(error.problem, severity="warning")]
        raise SuppressionsError([error.problem]) from None
    # A key that is not known would be one that does not narrow: more would be suppressed than somebody meant.
    unknown = [_as_error(problem) for problem in unknown_keys(SuppressionsFile, document, document.data)]
    try:
        entries = SuppressionsFile.model_validate(document.data).suppressions
    except ValidationError as error:
        raise SuppressionsError([*unknown, *explain(error, document, document.data)]) from None
    problems = [*document.warnings, *unknown, *_twins(entries, document)]
    if has_errors(problems):
        raise SuppressionsError(problems)
    lines = [document.place(("suppressions", index))[0] for index in range(len(entries))]
    return Suppressions(entries, lines), problems


def _as_error(problem: Problem) -> Problem:
    return replace(problem, severity="error", message=problem.message.replace(" is ignored", ""))


def _twins(entries: Sequence[Suppression], document: Document) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.id in seen:
            message = "another entry suppresses the very same"
            yield document.problem(("suppressions", index), "duplicate", message, "keep one of the two")
        seen.add(entry.id)


def _any_of(value: Any, path: Sequence[str], wanted: Sequence[Scalar]) -> bool:
    """Whether what stands at the path, or an item of a list that stands there, is one of the values."""
    if isinstance(value, list):
        return any(_any_of(item, path, wanted) for item in value)
    if path:
        return isinstance(value, Mapping) and path[0] in value and _any_of(value[path[0]], path[1:], wanted)
    return any(_same(value, one) for one in wanted)


def _same(value: Any, wanted: Scalar) -> bool:
    if isinstance(wanted, str):
        return isinstance(value, str) and _is_like(value, wanted)
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _is_like(text: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
