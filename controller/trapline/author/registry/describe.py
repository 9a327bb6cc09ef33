"""A pack's checkout -> its index. Equal files give equal indexes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from packaging.requirements import InvalidRequirement

from trapline.author.registry.index import MAX_DETECTIONS, MAX_ENTRIES, MAX_LINE, MAX_PROSE, Entry, Index, Pack, Quality
from trapline.config.units import format_duration
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import TRUE
from trapline.detection.load import collection_paused
from trapline.detection.model import Detection, DetectionConfig, Mode
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline.packs.manifest import Manifest
from trapline.requirements.lock import lines
from trapline_plugins.text import cut, well_formed


def index_of(
    manifest: Manifest, detections: Sequence[Detection], *, source: str | None, revision: str | None, root: str = ""
) -> Index:
    """`root` is the folder of the source that the pack lies in. Raises TraplineError where it has too many."""
    if len(detections) > MAX_DETECTIONS:
        message = f"the pack has {len(detections):,} detections, and {MAX_DETECTIONS:,} are the most of an index"
        raise TraplineError(message, remedy="split the pack")
    pack = Pack(
        name=manifest.name,
        title=_line(manifest.title),
        description=_prose(manifest.description),
        license=_line(manifest.license),
        homepage=manifest.homepage,
        authors=_lines(manifest.authors),
        tables={_line(name): _prose(text) for name, text in sorted(manifest.tables.items())[:MAX_ENTRIES]},
        source=source,
        revision=revision,
        root=root,
    )
    with collection_paused():
        entries = [_entry(detection, manifest.license) for detection in detections]
    return Index(pack=pack, detections=tuple(sorted(entries, key=lambda entry: entry.name)))


def _entry(detection: Detection, license: str) -> Entry:
    config = detection.config
    return Entry(
        name=config.name,
        display_name=_line(config.display_name or ""),
        description=_prose(config.description or ""),
        tags=_lines(config.tags),
        attack=_lines(config.reports.attack),
        severity=config.alert.severity,
        tables=_lines(config.tables),
        mode=detection.mode,
        realtime=config.realtime,
        schedule=_schedule(config),
        requirements=_lines(_requirements(detection)),
        license=_line(license),
        references=_lines(config.references),
        path=_line(detection.path),
        digest=_digest(detection),
        quality=_quality(detection),
    )


def _schedule(config: DetectionConfig) -> str:
    own = config.schedule
    if own.cron:
        return _line(f"cron {own.cron}")
    return f"every {format_duration(own.every)}" if own.every else ""


def _requirements(detection: Detection) -> list[str]:
    try:
        return sorted(str(line.requirement) for line in lines(detection.requirements))
    except InvalidRequirement:  # which checking tells
        return []


def _digest(detection: Detection) -> str:
    parts = []
    for path, file in sorted(detection.files.items()):
        parts += [path.encode(), b"x" if file.executable else b"-", file.content]
    return fingerprint(b"pack-1", *parts)


def _quality(detection: Detection) -> Quality:
    cases = detection.config.tests
    return Quality(
        tests=len(cases),
        finds=sum(case.finds for case in cases),
        leaves=sum(case.leaves for case in cases),
        understood=_understood(detection),
        runbook=bool((detection.config.runbook or "").strip()),
    )


def _understood(detection: Detection) -> Literal["all", "part", "none"]:
    if detection.mode is Mode.BATCH:  # is given all records, whatever is understood
        return "none"
    inferred = infer(detection.files[detection.script].content, detection.modules)
    if not inferred.gaps:
        return "all"
    return "none" if inferred.predicate == TRUE else "part"


def _line(text: str) -> str:
    return cut(well_formed(text), MAX_LINE)


def _prose(text: str) -> str:
    return cut(well_formed(text), MAX_PROSE)


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(_line(text) for text in list(texts)[:MAX_ENTRIES])
