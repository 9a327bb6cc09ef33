"""Test results for people, line by line, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import unified_diff
from itertools import islice
from typing import Any

from trapline.author.cases.coverage import covered, percent
from trapline.author.cases.run import Tested
from trapline.config.document import Document
from trapline.deploy.expect import Complaint
from trapline.detection.case import TestCase
from trapline.detection.model import Detection
from trapline.detection.parse import read_config

_LONG = 60
_AROUND = 2


class Places:
    """Where the cases of a detection stand in its config."""

    def __init__(self, detection: Detection) -> None:
        self.file = f"{detection.path}/{detection.config_file}"
        self._numbers = {id(case): number for number, case in enumerate(detection.config.tests)}
        self._document: Document = read_config(self.file, detection.files[detection.config_file].content)[0]

    def line(self, case: TestCase, *keys: str | int) -> int:
        """The line of a part of a case, or of the case."""
        return self._document.place(("tests", self._numbers[id(case)], *keys))[0]


def said(complaint: Complaint, places: Places, case: TestCase) -> Iterator[str]:
    """What is wrong, and at which line of the config; of what is long, how the two sides differ."""
    place = f"line {places.line(case, *complaint.keys)}: " if complaint.keys else ""
    if not _is_long(complaint.expected) and not _is_long(complaint.got):
        yield f"{place}{complaint.text}"
        return
    yield f"{place}another {complaint.what}; - is expected, + is what came:"
    header = 2
    changes = unified_diff(_lines(complaint.expected), _lines(complaint.got), n=_AROUND, lineterm="")
    yield from (f"  {text[:1]} {text[1:]}" for text in islice(changes, header, None) if not text.startswith("@@"))


def _is_long(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and (len(value) > _LONG or "\n" in value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def plain(tested: Tested, *, coverage: bool) -> dict[str, Any]:
    """How a detection fared, as plain JSON."""
    places = Places(tested.detection)
    files = covered(tested)
    measured = {
        "percent": round(percent(files), 1),
        "files": [
            {"path": file.path, "lines": file.lines, "percent": round(file.percent, 1), "missing": list(file.missing)}
            for file in files
        ],
    }
    return {
        "detection": tested.detection.name,
        "path": tested.detection.path,
        "problem": tested.problem or None,
        "cases": [
            {
                "name": case.result.case.name,
                "line": places.line(case.result.case),
                "holds": case.result.complaint is None,
                "complaint": case.result.complaint,
                "complaints": [
                    {
                        "line": places.line(case.result.case, *one.keys),
                        "text": one.text,
                        "expected": one.expected,
                        "got": one.got,
                    }
                    for one in case.result.complaints
                ],
                "printed": case.result.log,
                "seconds": round(case.seconds, 4),
            }
            for case in tested.cases
        ],
        **({"coverage": measured if tested.cases else None} if coverage else {}),
    }
