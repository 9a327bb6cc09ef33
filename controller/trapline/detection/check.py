"""What a detection asks of its surroundings: tables and destinations that exist, a condition that parses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from trapline.config.document import Document, UnreadableConfig
from trapline.config.limits import LimitSettings, shown_limit
from trapline.config.words import did_you_mean
from trapline.detection.model import Detection
from trapline.detection.parse import read_config
from trapline.errors import Problem

NO_CEILING = LimitSettings()


def check(
    detection: Detection,
    *,
    tables: Collection[str],
    destinations: Collection[str],
    ceiling: LimitSettings = NO_CEILING,
) -> list[Problem]:
    """Errors that hold this one detection back: it names what is not configured, its `where` is no condition, or it
    asks for more than it may."""
    alert = detection.config.alert
    found = [
        *_unknown("table", ("tables",), detection.config.tables, tables, pack=detection.pack),
        *_unknown("destination", ("alert", "destinations"), alert.destinations, destinations),
        *_above(detection.config.limits, ceiling),
    ]
    # That of a pack's author by itself: a lone bracket in it must not undo what is decided about it here.
    if (where := detection.as_written.config.query.where) is not None:
        from trapline.detection.where import condition_error  # takes long to load, and few detections have one

        if said := condition_error(where):
            found.append((("query", "where"), "invalid-where", *said))
    return placed(detection, found) if found else []


Finding = tuple[tuple[str | int, ...], str, str, str]
"""A key of the config, the problem's code, what is wrong there, and the remedy."""


def _unknown(
    kind: str, keys: tuple[str, ...], named: Collection[str], known: Collection[str], *, pack: str = ""
) -> Iterator[Finding]:
    for index, name in enumerate(named):
        if name not in known:
            near = did_you_mean(name, known)
            fix = f"say which of yours it is in packs.{pack}.{kind}s" if pack else "fix the name"
            remedy = f"add it under {kind}s: in trapline.yml or {fix}"
            message = f"there is no {kind} `{name}`"
            yield (*keys, index), f"unknown-{kind}", message, f"{near} {remedy}".strip()


def _above(limits: LimitSettings, ceiling: LimitSettings) -> Iterator[Finding]:
    for name, value in limits.model_dump(exclude_none=True).items():
        most = getattr(ceiling, name)
        if most is not None and value > most:
            message = f"`limits.{name}` is above the ceiling of {shown_limit(most)}"
            remedy = f"lower it, or have `sandbox.ceiling.{name}` in trapline.yml raised"
            yield ("limits", name), "above-ceiling", message, remedy


def placed(detection: Detection, found: Iterable[Finding]) -> list[Problem]:
    """Findings as errors at their key of the detection's config."""
    path = detection.config_file if detection.path == "." else f"{detection.path}/{detection.config_file}"
    try:
        document: Document | None = read_config(path, detection.files[detection.config_file].content)[0]
    except (UnreadableConfig, KeyError):  # a Detection that was not made by load
        document = None
    return [
        document.problem(keys, code, message, remedy) if document else Problem(path, 0, "error", code, message, remedy)
        for keys, code, message, remedy in found
    ]
