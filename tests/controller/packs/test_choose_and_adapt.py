"""Which detections of a pack run, and as what: whatever an author writes, and whatever its user decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trapline.config.files import File
from trapline.deploy.digest import build_digest
from trapline.detection.model import Detection, DetectionConfig, Mode, Severity, pack_of, stored_config
from trapline.packs.adapt import adapt
from trapline.packs.choose import is_named, is_used, selects, selects_by_name
from trapline.settings.packs import PackOverride, PackSettings

TAGS, ATTACK = ("iam", "s3"), ("ta0001", "ta0001:t1078", "t1078.004", "T1110")
BY_SAYING = ("tag:iam", "tag:s3", "attack:t1078", "attack:ta0001", "attack:T1078.004")
SELECTORS = ("all", "a", "a*", "b", "?", *BY_SAYING, *(f"severity:{severity}" for severity in Severity))
NAMES = st.text("ab", min_size=1, max_size=3)
PACKS = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True).filter(lambda name: name != "trapline")


def some(values: Any, size: int = 3) -> Any:
    return st.lists(st.sampled_from(values), max_size=size)


@st.composite
def configs(draw: st.DrawFn) -> DetectionConfig:
    return DetectionConfig.model_validate(
        {
            "name": draw(NAMES),
            "id": draw(st.none() | st.text("ab@!", min_size=1, max_size=4)),
            "enabled": draw(st.booleans()),
            "tables": draw(st.lists(st.sampled_from(["logs", "more", "third"]), min_size=1, unique=True)),
            "tags": draw(some(TAGS)),
            "reports": {"attack": draw(some(ATTACK))},
            "alert": {
                "severity": draw(st.sampled_from(list(Severity))),
                "threshold": draw(st.integers(1, 5)),
                "destinations": draw(some(["pager"])),
            },
            "query": {"where": draw(st.sampled_from([None, "a = 1", "a = 1 OR b = 2"]))},
            "schedule": draw(st.sampled_from([{}, {"start": "2020-01-01"}, {"every": "5m"}])),
            "realtime": draw(st.booleans()),
            "allow_source_builds": draw(st.booleans()),
        }
    )


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    contents = st.binary(max_size=5).map(lambda content: File(content=content))
    files = draw(st.dictionaries(st.sampled_from(["detect.py", "detection.yml", "lib/x.py", "data.csv"]), contents))
    return Detection(config=draw(configs()), mode=Mode.RECORD, path="detections/x", files=files)


OVERRIDES: dict[str, st.SearchStrategy[Any]] = {
    "enabled": st.booleans(),
    "severity": st.sampled_from(list(Severity)),
    "threshold": st.integers(1, 9),
    "window": st.sampled_from(["1m", "90s", "2h"]),
    "destinations": st.just(["soc"]),
    "schedule": st.sampled_from([{"every": "1h"}, {"start": "2026-01-01"}]),
    "realtime": st.booleans(),
    "where": st.just("c = 3"),
    "exclude": st.just("d = 4"),
    "allow_source_builds": st.booleans(),
}
WHAT_THEY_CHANGE = {
    "enabled": {"enabled"},
    "severity": {"alert.severity", "decision.severity"},
    "threshold": {"alert.threshold"},
    "window": {"alert.deduplication_window_minutes"},
    "destinations": {"alert.destinations", "decision.destinations"},
    "schedule": {"schedule.every", "schedule.cron", "schedule.start"},
    "realtime": {"realtime"},
    "where": {"query.where"},
    "exclude": {"query.where"},
    "allow_source_builds": {"allow_source_builds"},
}


def pack_of_all(**settings: Any) -> PackSettings:
    return PackSettings.model_validate({"source": "https://example.com/p.git", "revision": "0" * 40, **settings})


def flat(config: DetectionConfig) -> dict[str, Any]:
    """Every value of a config by its dotted key."""
    return {
        f"{key}.{inner}" if inner else key: value
        for key, group in config.model_dump(mode="json").items()
        for inner, value in (group.items() if isinstance(group, dict) else [("", group)])
    }


def test_every_kind_of_override_is_tried() -> None:
    assert OVERRIDES.keys() == WHAT_THEY_CHANGE.keys() == PackOverride.model_fields.keys()


@given(configs(), some(SELECTORS), some(SELECTORS))
def test_a_detection_runs_where_one_entry_covers_it(config: DetectionConfig, one: list[str], more: list[str]) -> None:
    used = is_used(config, pack_of_all(enable=one))
    assert used == any(selects(selector, config) for selector in one)
    assert is_used(config, pack_of_all(enable=[*more, *one])) == (used or is_used(config, pack_of_all(enable=more)))
    assert is_used(config, pack_of_all(enable=["all", *one]))


@given(configs(), some(SELECTORS), st.booleans())
def test_what_is_decided_about_one_wins(config: DetectionConfig, enable: list[str], enabled: bool) -> None:
    pack = pack_of_all(enable=enable, overrides={config.name: {"enabled": enabled}})
    assert is_used(config, pack) == is_named(config.name, pack) == enabled


@given(configs(), some(SELECTORS))
def test_a_name_says_as_much_as_a_config(config: DetectionConfig, enable: list[str]) -> None:
    names = [selector for selector in enable if selector == "all" or selects_by_name(selector)]
    assert is_named(config.name, pack_of_all(enable=enable)) == is_used(config, pack_of_all(enable=names))


@given(configs(), st.sampled_from(list(Severity)))
def test_a_severity_covers_those_above(config: DetectionConfig, wanted: Severity) -> None:
    assert selects(f"severity:{wanted}", config) == (config.alert.severity.rank >= wanted.rank)


@pytest.mark.parametrize(
    ("selector", "attack", "covers"),
    [
        ("attack:t1078", "ta0001:t1078.004", True),
        ("attack:T1078", "t1078", True),
        ("attack:t1078.004", "ta0001:t1078", False),
        ("attack:t107", "t1078", False),
        ("attack:ta0001", "TA0001:T1078", True),
        ("attack:ta0001:t1078", "ta0001:t1078", False),
        ("tag:ia", "t1078", False),
        ("tag:IAM", "t1078", False),
    ],
)
def test_what_a_selector_covers(selector: str, attack: str, covers: bool) -> None:
    config = DetectionConfig(name="a", tables=("logs",), tags=("iam",), reports={"attack": [attack]})
    assert selects(selector, config) is covers


@pytest.mark.parametrize("selector", ["tags:iam", "severity:urgent", "tag:", "", "attack:"])
def test_what_is_no_selector(selector: str) -> None:
    with pytest.raises(ValidationError):
        pack_of_all(enable=[selector])


@given(detections(), PACKS, st.fixed_dictionaries({}, optional=OVERRIDES))
def test_what_it_is_built_of_stays(detection: Detection, pack: str, override: dict[str, Any]) -> None:
    adapted = adapt(detection, pack, pack_of_all(overrides={detection.name: override}))
    before, after = (build_digest(one, lock="a==1", platform="linux") for one in (detection, adapted))
    assert before == after
    assert adapted.as_written.config == detection.config


@given(detections(), PACKS)
def test_it_is_in_the_namespace_of_its_pack(detection: Detection, pack: str) -> None:
    adapted = adapt(detection, pack, pack_of_all())
    for name in (adapted.name, adapted.identity):
        assert pack_of(name) == pack
    assert adapted.identity == f"{pack}/{detection.identity}"
    assert adapted.path.startswith(f"packs/{pack}/")


@given(st.text(max_size=20) | st.from_regex(r"[a-z]+/[a-z]+", fullmatch=True), st.sampled_from(["name", "id"]))
def test_nothing_that_is_written_is_in_a_namespace(text: str, key: str) -> None:
    try:
        config = DetectionConfig.model_validate({"name": "x", "tables": ["logs"], key: text})
    except ValidationError:
        return
    assert pack_of(config.identity) == pack_of(config.name) == ""


@given(detections(), PACKS, st.fixed_dictionaries({}, optional=OVERRIDES))
def test_an_override_changes_what_it_names(detection: Detection, pack: str, override: dict[str, Any]) -> None:
    plain = flat(adapt(detection, pack, pack_of_all()).config)
    changed = flat(adapt(detection, pack, pack_of_all(overrides={detection.name: override})).config)
    may = set().union(*(WHAT_THEY_CHANGE[key] for key in override))
    assert {key for key in plain.keys() | changed.keys() if plain.get(key) != changed.get(key)} <= may
    if "severity" in override:
        assert changed["alert.severity"] == changed["decision.severity"] == override["severity"]
    if "threshold" in override:
        assert changed["alert.threshold"] == override["threshold"]
    if "window" in override:
        minutes = {"1m": 1, "90s": 2, "2h": 120}[override["window"]]
        assert changed["alert.deduplication_window_minutes"] == minutes
    for key in ("where", "exclude"):
        if key in override:
            assert override[key] in changed["query.where"]


@given(detections(), PACKS)
def test_what_is_its_users_alone_is_taken_away(detection: Detection, pack: str) -> None:
    config = adapt(detection, pack, pack_of_all()).config
    assert (config.enabled, config.allow_source_builds, config.schedule.start) == (False, False, None)
    assert (config.alert.destinations, config.decided.destinations) == ((), ())


@given(detections(), PACKS, st.fixed_dictionaries({}, optional=OVERRIDES))
def test_it_is_the_same_when_it_was_stored(detection: Detection, pack: str, override: dict[str, Any]) -> None:
    config = adapt(detection, pack, pack_of_all(overrides={detection.name: override})).config
    assert stored_config(config.model_dump(mode="json")) == config


def test_tables_are_called_as_they_are_here() -> None:
    config = DetectionConfig(name="a", tables=("theirs", "other", "both"))
    detection = Detection(config=config, mode=Mode.RECORD, path="detections/a", files={})
    pack = pack_of_all(tables={"theirs": "ours", "both": "ours"})
    assert adapt(detection, "acme", pack).config.tables == ("ours", "other")


def test_a_window_is_whole_minutes() -> None:
    override = PackOverride(window=timedelta(seconds=61))
    config = DetectionConfig(name="a", tables=("logs",))
    detection = Detection(config=config, mode=Mode.RECORD, path="detections/a", files={})
    adapted = adapt(detection, "acme", pack_of_all(overrides={"a": override}))
    assert adapted.config.alert.window == timedelta(minutes=2)
