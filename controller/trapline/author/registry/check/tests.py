"""What a detection's tests have to show."""

from __future__ import annotations

from collections.abc import Iterator

from trapline.author.cases.run import one_sided
from trapline.author.validation.advice.subject import Subject
from trapline.errors import Problem

_TOLD = ("title", "dedupe", "severity")
"""Functions on which hangs who is woken, by what, and how often."""


def tests(subject: Subject) -> Iterator[Problem]:
    """An error where the tests do not show both what it finds and what it leaves alone, and advice where no case says
    what a function answers."""
    cases = subject.detection.config.tests
    if missing := one_sided(subject.detection):
        remedy = "a rule is only known by both: what it finds, and what it leaves alone"
        yield subject.in_config(("tests",), "one-sided-tests", missing, remedy, severity="error")
    stated = {key for case in cases for each in (case.expect, *(case.alerts or ())) for key in each.stated}
    for name in _TOLD:
        if subject.has_function(name) and name not in stated:
            remedy = f"add `expect: {{{name}: ...}}` to a case that matches"
            yield subject.in_config(("tests",), "untested-function", f"no test says what `{name}` answers", remedy)
