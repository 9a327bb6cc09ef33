"""A detection of a pack as it runs here: under the pack's name, with what was decided about it. Pure."""

from __future__ import annotations

from datetime import timedelta

from trapline.detection.model import Decision, Detection, DetectionConfig, PackedConfig, QuerySettings, pack_folder
from trapline.packs.choose import is_used
from trapline.settings.packs import PackOverride, PackSettings

_AS_IT_IS = PackOverride()


def adapt(detection: Detection, name: str, pack: PackSettings) -> Detection:
    """The detection as the pack `name` brings it.

    What is nobody's business but the user's is taken away: destinations, where it begins, building from source.
    """
    written = detection.config
    override = pack.overrides.get(written.name, _AS_IT_IS)
    return detection.model_copy(
        update={
            "config": _config(written, name, pack, override),
            "written": written,
            "path": f"{pack_folder(name)}/{detection.path}",
            "pack": name,
        }
    )


def _config(written: DetectionConfig, name: str, pack: PackSettings, override: PackOverride) -> PackedConfig:
    alert = {
        "severity": override.severity,
        "threshold": override.threshold,
        "deduplication_window_minutes": _minutes(override.window) if override.window else None,
        "destinations": override.destinations or (),
    }
    schedule = override.schedule or written.schedule.model_copy(update={"start": None})
    changed = {
        "name": f"{name}/{written.name}",
        "id": f"{name}/{written.id}" if written.id else None,
        "enabled": is_used(written, pack),
        "tables": tuple(dict.fromkeys(pack.tables.get(table, table) for table in written.tables)),
        "alert": written.alert.model_copy(update={key: value for key, value in alert.items() if value is not None}),
        "query": QuerySettings(where=_condition(written.query.where, override)),
        "schedule": schedule,
        "realtime": written.realtime if override.realtime is None else override.realtime,
        "allow_source_builds": override.allow_source_builds,
        "decision": Decision(severity=override.severity, destinations=override.destinations or ()),
    }
    return PackedConfig.model_construct(**{**dict(written), **changed})


def _minutes(window: timedelta) -> int:
    return max(1, -(-window // timedelta(minutes=1)))


def _condition(where: str | None, override: PackOverride) -> str | None:
    """All conditions together. A record of which `exclude` cannot tell stays."""
    parts = [f"({part})" for part in (where, override.where) if part]
    if override.exclude:
        parts.append(f"NOT COALESCE(({override.exclude}), FALSE)")
    return " AND ".join(parts) or None
