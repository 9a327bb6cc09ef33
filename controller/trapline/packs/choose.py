"""Which detections of a pack are used. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from trapline.detection.model import DetectionConfig, Severity
from trapline.settings.packs import ALL, SELECTORS, PackSettings


def is_used(config: DetectionConfig, pack: PackSettings) -> bool:
    """Whether a detection runs, by its config as the pack has it. What the pack says of `enabled` does not count."""
    override = pack.overrides.get(config.name)
    if override is not None and override.enabled is not None:
        return override.enabled
    return any(selects(selector, config) for selector in pack.enable)


def is_named(name: str, pack: PackSettings) -> bool:
    """Whether a detection of which only the name can be read is asked for by it."""
    override = pack.overrides.get(name)
    if override is not None and override.enabled is not None:
        return override.enabled
    return any(_names(selector, name) for selector in pack.enable)


def selects(selector: str, config: DetectionConfig) -> bool:
    """Whether one entry of `enable` covers a detection."""
    kind, colon, wanted = selector.partition(":")
    if not colon:
        return _names(selector, config.name)
    match kind:
        case "tag":
            return wanted in config.tags
        case "attack":
            return is_about(config.reports.attack, wanted)
        case _:
            return config.alert.severity.rank >= Severity(wanted).rank


def selects_by_name(selector: str) -> bool:
    """Whether an entry of `enable` is a name, or a pattern of names."""
    return selector != ALL and selector.partition(":")[0] not in SELECTORS


def _names(selector: str, name: str) -> bool:
    return selector == ALL or fnmatchcase(name, selector)


def is_about(entries: Iterable[str], wanted: str) -> bool:
    """Whether one of these ids of ATT&CK names a tactic or technique. `ta0006:t1110.001` names T1110, too."""
    parts = (part for entry in entries for part in entry.lower().split(":"))
    return any(part == wanted.lower() or part.startswith(f"{wanted.lower()}.") for part in parts)
