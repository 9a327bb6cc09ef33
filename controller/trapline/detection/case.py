"""The test cases of a config: records in, and what should come of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from trapline.config.units import Moment, Period
from trapline.detection.severity import Severity

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


class CaseError(ValueError):
    """Not a test case. `remedy` says how to write one."""

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def _verdict(value: Any) -> Any:
    if not isinstance(value, int) or value < 0:
        raise ValueError("write true, false, or the number of matches that are expected")
    return value


def _dotted_name(value: str) -> str:
    if not _DOTTED.fullmatch(value):
        raise CaseError(f"{value!r} is no name of a function", remedy="write it as the script does: `requests.get`")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Expectation(_Part):
    """What a test case expects of one match; only what is stated is compared."""

    title: str | None = Field(default=None, description="The alert's title.")
    dedupe: str | None = Field(default=None, description="The dedupe key.")
    severity: Severity | None = Field(default=None, description="The severity.")
    destinations: tuple[str, ...] | None = Field(default=None, description="The destinations.")
    description: str | None = Field(default=None, description="The description.")
    runbook: str | None = Field(default=None, description="The runbook.")
    context: Mapping[str, Any] | None = Field(default=None, description="What `alert_context` returns.")

    @property
    def stated(self) -> Mapping[str, Any]:
        """What is to be compared, by its name."""
        return self.model_dump(exclude_none=True)


class ExpectedAlert(Expectation):
    """What a test case expects of one alert; only what is stated is compared."""

    matches: int | None = Field(default=None, ge=1, strict=True, description="How many matches are in it.")


class CaseClock(_Part):
    """When the records of a case happen that do not say it themselves."""

    start: Moment = Field(default=datetime(2026, 1, 1, tzinfo=UTC), description="When the first record happens.")
    every: Period = Field(default=timedelta(seconds=1), description="How long after each record the next one happens.")

    def moments(self) -> Iterator[datetime]:
        """The time of one record after the other."""
        moment = self.start
        while True:
            yield moment
            moment += self.every


class TestCase(_Part):
    """A test of the config: records in, expected matches and alerts out."""

    __test__ = False  # not a pytest class
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["match"]}, {"required": ["alerts"]}]})

    name: str = Field(description="What the case shows.")
    records: tuple[Mapping[str, Any], ...] = Field(min_length=1, description="The records that go in.")
    repeat: int = Field(default=1, ge=1, le=1_000, strict=True, description="How many times all of them go in.")
    clock: CaseClock | None = Field(
        default=None, description="When the records happen that have no time; without it, only `alerts` gives them one."
    )
    mocks: Mapping[Annotated[str, AfterValidator(_dotted_name)], JsonValue] = Field(
        default={}, description="Functions that the script calls, and what each call answers instead."
    )
    match: Annotated[bool | int, BeforeValidator(_verdict)] | None = Field(
        default=None, description="Whether they match, or how many matches there are; required without `alerts`."
    )
    expect: Expectation = Field(default=Expectation(), description="What the first match says.")
    alerts: tuple[ExpectedAlert, ...] | None = Field(
        default=None, description="The alerts that open, in this order; an empty list where none may."
    )

    @model_validator(mode="after")
    def _says_something(self) -> TestCase:
        if self.match is None and self.alerts is None:
            remedy = "add `match: true`, `match: false`, or a list of `alerts`"
            raise CaseError("it has neither `match` nor `alerts`, and so shows nothing", remedy=remedy)
        clock = self.clock or CaseClock()
        if self.count > (datetime.max.replace(tzinfo=UTC) - clock.start) / clock.every:
            raise CaseError("its clock runs beyond the year 9999", remedy="let it start earlier, or go by less")
        return self

    @property
    def count(self) -> int:
        """How many records go in."""
        return len(self.records) * self.repeat

    @property
    def finds(self) -> bool:
        """Whether it shows something that the rule finds."""
        return bool(self.match or self.alerts)

    @property
    def leaves(self) -> bool:
        """Whether it shows something that the rule leaves alone."""
        return self.alerts == () or (self.match is not None and not self.match)
