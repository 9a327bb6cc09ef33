"""Detections in real time: tables whose records nobody hears of, and conclusions from what happens to land together."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trapline.author.validation.advice.schemas import Schemas
from trapline.author.validation.advice.subject import Subject, own_nodes
from trapline.detection.model import Mode
from trapline.errors import Problem


def realtime(subject: Subject, schemas: Schemas) -> Iterator[Problem]:
    """Nothing, where it is not in real time."""
    if subject.detection.config.realtime:
        yield from _no_stream(subject, schemas)
        yield from _conclusions(subject)


def _no_stream(subject: Subject, schemas: Schemas) -> Iterator[Problem]:
    for table in subject.detection.config.tables:
        if schemas.has_no_stream(table):
            message = f"nobody hears of what lands in `{table}`, so that it is read on schedule and not in real time"
            yield subject.in_config(
                ("realtime",), "no-stream", message, f"give tables.{table} in trapline.yml a `stream`"
            )


def _conclusions(subject: Subject) -> Iterator[Problem]:
    found = subject.names.own("detect") if subject.names and subject.detection.mode is Mode.BATCH else None
    for node in own_nodes(found.node) if found else ():
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Dict) and _names_no_record(node.value):
            message = "a match names no `record`: it stands on what landed together, and a sweep finds another"
            remedy = 'yield the record that it is about, as `"record": record`, and count with `alert.threshold`'
            yield subject.in_code(node.value, "realtime-batch", message, remedy)


def _names_no_record(match: ast.Dict) -> bool:
    """Whether it certainly names none."""
    return all(isinstance(key, ast.Constant) and key.value != "record" for key in match.keys)
