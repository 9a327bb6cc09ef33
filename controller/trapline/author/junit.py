"""Test results as JUnit's XML, which every CI shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from trapline.author.testing import Tested

# What XML 1.0 cannot carry, however it is escaped: a rule may print anything.
_UNSPEAKABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[Tested]) -> str:
    """One suite for each detection, a case for each of its cases; what it printed is with the case."""
    root = ET.Element("testsuites", name="trapline", tests=str(_cases(results)), failures=str(_failures(results)))
    for tested in results:
        detection = tested.detection
        file = f"{detection.path}/{detection.config_file}"
        suite = ET.SubElement(
            root,
            "testsuite",
            name=detection.name,
            tests=str(_cases([tested])),
            failures=str(_failures([tested])),
            errors="1" if tested.problem else "0",
            time=f"{sum(case.seconds for case in tested.cases):.3f}",
        )
        if tested.problem:
            element = ET.SubElement(suite, "testcase", name="build", classname=detection.name, file=file)
            ET.SubElement(element, "error", message=_plain(tested.problem.splitlines()[0])).text = _plain(
                tested.problem
            )
        for case in tested.cases:
            result = case.result
            element = ET.SubElement(
                suite,
                "testcase",
                name=_plain(result.case.name),
                classname=detection.name,
                file=file,
                time=f"{case.seconds:.3f}",
            )
            if result.complaint:
                ET.SubElement(element, "failure", message=_plain(result.complaint))
            if result.log:
                ET.SubElement(element, "system-out").text = _plain(result.log)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _cases(results: Sequence[Tested]) -> int:
    return sum(len(tested.cases) + bool(tested.problem) for tested in results)


def _failures(results: Sequence[Tested]) -> int:
    return sum(bool(case.result.complaint) for tested in results for case in tested.cases)


def _plain(text: str) -> str:
    return _UNSPEAKABLE.sub("\ufffd", text)
