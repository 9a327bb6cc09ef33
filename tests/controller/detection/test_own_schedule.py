"""A detection's own schedule: in both formats, its mistakes with their line and the remedy, and what it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trapline.config.files import File
from trapline.deploy.digest import build_digest, deploy_digest
from trapline.detection.model import Detection, DetectionConfig, Mode
from trapline.detection.parse import Parsed, parse
from trapline.schedule import Cron, Every, Schedule

HEAD = "name: one\ntables: [logs]\n"


def yml(schedule: str) -> Parsed:
    return parse("detection.yml", f"{HEAD}schedule:\n  {schedule}\n".encode())


def toml(schedule: str) -> Parsed:
    return parse("detection.toml", f'name = "one"\ntables = ["logs"]\n[schedule]\n{schedule}\n'.encode())


@pytest.mark.parametrize(
    ("parsed", "moments"),
    [
        (yml("every: 15m"), Every(timedelta(minutes=15))),
        (toml('every = "15m"'), Every(timedelta(minutes=15))),
        (yml("cron: '30 6 * * 1-5'"), Cron("30 6 * * 1-5")),
        (toml('cron = "30 6 * * 1-5"'), Cron("30 6 * * 1-5")),
        (yml("start: 2026-01-01T12:00:00Z"), None),
        (parse("detection.yml", f"{HEAD}schedule:\n".encode()), None),
    ],
)
def test_it_is_a_period_or_a_cron_expression_or_neither(parsed: Parsed, moments: Schedule | None) -> None:
    assert parsed.problems == ()
    assert parsed.config is not None
    assert parsed.config.schedule.moments == moments
    assert DetectionConfig.model_validate(parsed.config.model_dump(mode="json")) == parsed.config


@pytest.mark.parametrize("said", ["start: 2026-01-01T12:00:00", "start: 2026-01-01T14:00:00+02:00"])
def test_a_start_is_in_utc_where_it_does_not_say(said: str) -> None:
    config = yml(said).config
    assert config is not None
    assert config.schedule.start == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parsed", "line", "message", "remedy"),
    [
        (yml("cron: '61 * * * *'"), 4, "'61 * * * *' is no cron expression: bad minute", "times are UTC"),
        (toml('cron = "* * * *"'), 4, "has 4 fields", "times are UTC"),
        (yml("every: 0.5s"), 4, "more often than each second", "1s or more"),
        (yml("every: soon"), 4, "is no duration", ""),
        (yml("every: 5m\n  cron: '* * * * *'"), 3, "both given", "keep one"),
        (yml("start: soon"), 4, "should be a date", "write a date"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_remedy(parsed: Parsed, line: int, message: str, remedy: str) -> None:
    [problem] = parsed.problems
    assert (parsed.config, problem.line, problem.severity) == (None, line, "error")
    assert message in problem.message
    assert remedy in problem.remedy


def test_another_schedule_redeploys_without_a_rebuild() -> None:
    def versions(schedule: str) -> tuple[str, str]:
        text = f"{HEAD}schedule:\n  {schedule}\n".encode()
        config = parse("detection.yml", text).config
        assert config is not None
        files = {"detect.py": File(content=b""), "detection.yml": File(content=text)}
        detection = Detection(config=config, mode=Mode.RECORD, path="one", files=files)
        build = build_digest(detection, lock="", platform="")
        return build, deploy_digest(detection, build)

    often, seldom = versions("every: 5m"), versions("every: 1h")
    assert often[0] == seldom[0]
    assert often[1] != seldom[1]
