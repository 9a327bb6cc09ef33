"""Test results as JUnit's XML, which every CI shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from trapline.author.cases.coverage import covered, percent
from trapline.author.cases.results import Places
from trapline.author.cases.run import Tested, Timed

# What XML 1.0 cannot carry, however it is escaped: a rule may print anything.
_UNSPEAKABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[Tested]) -> str:
    """One suite for each detection, a case for each of its cases; what it printed is with the case."""
    root = _add(None, "testsuites", name="trapline", **_counts(results))
    for tested in results:
        detection = tested.detection
        suite = _add(root, "testsuite", name=detection.name, **_counts([tested]))
        properties = _add(suite, "properties")
        for name, value in _properties(tested).items():
            _add(properties, "property", name=name, value=value)
        places = Places(detection)
        if tested.problem:
            element = _add(suite, "testcase", name="build", classname=detection.name, file=places.file)
            _add(element, "error", message=tested.problem.splitlines()[0]).text = _plain(tested.problem)
        for case in tested.cases:
            _add_case(suite, places, case, detection.name)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _add_case(suite: ET.Element, places: Places, case: Timed, detection: str) -> None:
    result, line = case.result, str(places.line(case.result.case))
    where = {"classname": detection, "file": places.file, "line": line}
    element = _add(suite, "testcase", name=result.case.name, **where, time=f"{case.seconds:.3f}")
    if result.complaint:
        _add(element, "failure", message=result.complaint)
    if result.log:
        _add(element, "system-out").text = _plain(result.log)


def _counts(results: Sequence[Tested]) -> Mapping[str, str]:
    cases = [case for tested in results for case in tested.cases]
    errors = sum(bool(tested.problem) for tested in results)
    return {
        "tests": str(len(cases) + errors),
        "failures": str(sum(bool(case.result.complaint) for case in cases)),
        "errors": str(errors),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _properties(tested: Tested) -> Mapping[str, str]:
    detection = tested.detection
    said = {
        "path": detection.path,
        "identity": detection.identity,
        "mode": detection.mode.value,
        "severity": detection.config.alert.severity.value,
        "build": tested.build or "",
        "coverage": f"{percent(covered(tested)):.1f}" if tested.coverage else "",
    }
    return {name: value for name, value in said.items() if value}


def _add(parent: ET.Element | None, tag: str, **attributes: str) -> ET.Element:
    plain = {name: _plain(value) for name, value in attributes.items()}
    return ET.Element(tag, plain) if parent is None else ET.SubElement(parent, tag, plain)


def _plain(text: str) -> str:
    return _UNSPEAKABLE.sub("\ufffd", text)
