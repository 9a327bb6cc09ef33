"""The plan: everything is in it once, and carrying it out leaves nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.playground import NOON
from trapline.deploy.desired import Desired, Held
from trapline.deploy.digest import Version, version
from trapline.deploy.ledger import Deployment
from trapline.deploy.overrides import Kind, Override
from trapline.deploy.plan import Action, Actual, Change, changed_files, plan
from trapline.detection.model import Detection, DetectionConfig, File, Mode
from trapline.errors import Problem
from trapline.settings import PruneSettings, Settings

NAMES = ("a", "b", "c", "d", "e")


def detection(name: str, code: int, severity: str, *, enabled: bool = True) -> Detection:
    config = DetectionConfig.model_validate(
        {"name": name, "tables": ["t"], "enabled": enabled, "alert": {"severity": severity}}
    )
    files = {"detect.py": File(content=f"{name} {code}".encode()), "detection.yml": File(content=severity.encode())}
    return Detection(config=config, mode=Mode.RECORD, path=f"detections/{name}", files=files)


def held(name: str) -> Held:
    problem = Problem(f"detections/{name}/detect.py", 1, "error", "syntax", "no")
    return Held(name, f"detections/{name}", (problem,))


def digests(one: Detection) -> Version:
    return version(one, lock="", platform="here")


def deployment(one: Detection) -> Deployment:
    digest = digests(one)
    return Deployment(one.identity, one.name, digest.build, digest.deploy, "r", one.mode, one.config, NOON, None, "")


def desired(detections: Mapping[str, Detection], broken: Mapping[str, Held]) -> Desired:
    settings = Settings(prune=PruneSettings(max_count=99, max_share=1))
    return Desired("r", settings, b"", tuple(detections.values()), tuple(broken.values()), frozenset(broken), ())


def suspension(name: str) -> Override:
    return Override(name, Kind.SUSPENDED, NOON)


versions = st.builds(
    lambda code, severity, enabled: (code, severity, enabled),
    st.integers(0, 1),
    st.sampled_from(("low", "high")),
    st.booleans(),
)
commits = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), versions))


@given(
    commits,
    st.dictionaries(st.sampled_from(NAMES), versions),
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
    st.sets(st.sampled_from(NAMES)),
)
def test_everything_is_in_the_plan_once_and_carried_out_it_leaves_nothing_to_do(
    commit: dict[str, tuple[int, str, bool] | None],
    live: dict[str, tuple[int, str, bool]],
    gone: set[str],
    touched: set[str],
    suspended: set[str],
) -> None:
    wanted = {
        name: detection(name, said[0], said[1], enabled=said[2]) for name, said in commit.items() if said is not None
    }
    broken = {name: held(name) for name, said in commit.items() if said is None}
    running = {name: deployment(detection(name, code, severity)) for name, (code, severity, _) in live.items()}
    actual = Actual(
        deployments=running,
        statuses={},
        pins={},
        suspended={name: suspension(name) for name in suspended},
        whole={one.build_digest for name, one in running.items() if name not in gone | touched},
        touched={running[name].build_digest for name in touched if name in running},
    )
    changes = plan(desired(wanted, broken), actual, version_of=digests)
    assert sorted(change.identity for change in changes) == sorted({*commit, *live})
    for change in changes:
        acts = change.action not in (Action.NOTHING, Action.HOLD)
        assert not (acts and change.identity in suspended and change.action not in (Action.RETIRE, Action.DISABLE))
        assert (change.action is Action.RETIRE) == (change.identity not in commit)
        assert (change.action is Action.HOLD) == (change.identity in broken and change.identity not in suspended)
    after = carried_out(actual, changes)
    left = plan(desired(wanted, broken), after, version_of=digests)
    assert {change.action for change in left} <= {Action.NOTHING, Action.HOLD}
    for name, one in wanted.items():
        if name not in suspended:
            assert (name in after.deployments) == one.config.enabled
    for name in broken:
        assert after.deployments.get(name) == running.get(name)


def carried_out(actual: Actual, changes: list[Change]) -> Actual:
    """What there is once the plan has been followed to the letter."""
    deployments, whole = dict(actual.deployments), set(actual.whole)
    for change in changes:
        if change.action in (Action.RETIRE, Action.DISABLE):
            del deployments[change.identity]
        elif change.action not in (Action.NOTHING, Action.HOLD):
            assert change.detection
            assert change.version
            deployments[change.identity] = deployment(change.detection)
            whole.add(change.version.build)
    return replace(actual, deployments=deployments, whole=whole, touched=set(actual.touched) - whole)


def test_what_left_is_held_where_it_is_too_much_to_retire_unasked() -> None:
    live = {name: deployment(detection(name, 0, "low")) for name in NAMES}
    whole = {one.build_digest for one in live.values()}
    actual = Actual(deployments=live, statuses={}, pins={}, suspended={}, whole=whole, touched=set())
    left = replace(desired({"a": detection("a", 0, "low")}, {}), settings=Settings())
    held = plan(left, actual, version_of=digests)
    assert [change.action for change in held] == [Action.NOTHING, *([Action.HOLD] * 4)]
    assert "trapline sync --confirm-prune" in held[1].reason
    confirmed = plan(left, actual, version_of=digests, confirm_prune=True)
    assert [change.action for change in confirmed] == [Action.NOTHING, *([Action.RETIRE] * 4)]


@pytest.mark.parametrize(
    ("code", "severity", "action", "reason"),
    [
        (0, "low", Action.NOTHING, ""),
        (1, "low", Action.REBUILD, "changed: detect.py"),
        (1, "high", Action.REBUILD, "changed: detect.py, detection.yml"),
        (0, "high", Action.RECONFIGURE, "only its configuration changed"),
    ],
)
def test_a_change_names_its_reason_and_its_files(code: int, severity: str, action: Action, reason: str) -> None:
    was = detection("a", 0, "low")
    actual = Actual(
        deployments={"a": deployment(was)},
        statuses={},
        pins={},
        suspended={},
        whole={digests(was).build},
        touched=set(),
    )
    wanted = desired({"a": detection("a", code, severity)}, {})
    [change] = plan(wanted, actual, version_of=digests, before=lambda _: was.files)
    assert (change.action, change.reason) == (action, reason)
    assert bool(change.files) == (action is not Action.NOTHING)
    [blind] = plan(wanted, actual, version_of=digests)
    assert blind.action is action


def test_another_platform_is_told_from_a_changed_file() -> None:
    was = detection("a", 0, "low")
    before = deployment(was)
    actual = Actual(
        deployments={"a": replace(before, build_digest=digests(detection("a", 1, "low")).build)},
        statuses={},
        pins={},
        suspended={},
        whole=set(),
        touched=set(),
    )
    [change] = plan(desired({"a": was}, {}), actual, version_of=digests, before=lambda _: was.files)
    assert (change.action, change.files) == (Action.REBUILD, ())
    assert "what it is built on changed" in change.reason


def test_requirements_that_are_not_locked_yet_are_a_rebuild() -> None:
    was = detection("a", 0, "low")
    actual = Actual(deployments={"a": deployment(was)}, statuses={}, pins={}, suspended={}, whole=set(), touched=set())
    [change] = plan(desired({"a": was}, {}), actual, version_of=lambda _: None)
    assert (change.action, change.version) == (Action.REBUILD, None)


def test_the_files_that_differ() -> None:
    one, two = File(content=b"1"), File(content=b"2")
    now = detection("a", 0, "low").model_copy(update={"files": {"same": one, "new": one, "changed": two}})
    assert changed_files({"same": one, "gone": one, "changed": one}, now) == ("changed", "gone", "new")
    assert changed_files(None, now) is None
