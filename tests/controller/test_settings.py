"""trapline.yml: everything it can say, and every way to get it wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.files import File
from trapline.config.secrets import resolve_secrets
from trapline.errors import Problem
from trapline.settings import Settings, SettingsError, load, parse
from trapline_plugins.api import Rate

FULL = b"""\
tables:
  aws_cloudtrail:
    engine: duckdb
    path: tables/aws_cloudtrail
    time: when
    id: null
    partition: day
    lag: 5m
destinations:
  slack_my_team:
    type: webhook
    url: ${env:SLACK_URL}
    headers: {X-Team: red}
  console:
    type: console
default_destinations: [console]
operations: [slack_my_team]
schedule:
  every: 30s
  start: 2024-01-01T00:00:00Z
  longest_window: 2h
  poll: 90
sandbox:
  backend: process
  base_image: python:3.11-slim
  memory: 1GiB
  batch_timeout: 2m
  cpus: 0.5
  pids: 32
prune:
  max_count: 3
  max_share: 0.5
on_deploy:
  url: ${env:HOOK_URL}
  secret: ${file:/run/hook}
  headers: {X-Team: blue}
"""


def refused(text: str | bytes) -> Problem:
    with pytest.raises(SettingsError) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    errors = [problem for problem in caught.value.problems if problem.severity == "error"]
    assert len(errors) == 1, errors
    assert errors[0].message in caught.value.message
    return errors[0]


def test_everything_that_can_be_said() -> None:
    settings, problems = parse(FULL, env={"SLACK_URL": "https://x", "HOOK_URL": "https://y"})
    assert problems == []
    table = settings.tables["aws_cloudtrail"]
    assert (table.engine, table.path, table.time) == ("duckdb", "tables/aws_cloudtrail", "when")
    assert (table.id, table.partition, table.lag) == (None, {"day": "%Y-%m-%d"}, timedelta(minutes=5))
    slack = settings.destinations["slack_my_team"]
    assert slack.type == "webhook"
    assert slack.options == {"url": "${env:SLACK_URL}", "headers": {"X-Team": "red"}}
    assert settings.destinations["console"].options == {}
    assert (settings.default_destinations, settings.operations) == (("console",), ("slack_my_team",))
    schedule = settings.schedule
    assert (schedule.every, schedule.poll) == (timedelta(seconds=30), timedelta(seconds=90))
    assert (schedule.start, schedule.longest_window) == (datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=2))
    sandbox = settings.sandbox
    assert (sandbox.backend, sandbox.base_image, sandbox.memory) == ("process", "python:3.11-slim", 2**30)
    assert (sandbox.batch_timeout, sandbox.cpus, sandbox.pids) == (timedelta(minutes=2), 0.5, 32)
    assert (settings.prune.max_count, settings.prune.max_share) == (3, 0.5)
    assert settings.on_deploy is not None
    assert settings.on_deploy.model_dump() == {
        "url": "${env:HOOK_URL}",
        "secret": "${file:/run/hook}",
        "headers": {"X-Team": "blue"},
    }


def test_defaults() -> None:
    settings, problems = parse(b"tables:\n  t:\n    path: x\nschedule:\ndestinations:\n")
    assert problems == []
    table, schedule, sandbox = settings.tables["t"], settings.schedule, settings.sandbox
    assert (table.time, table.id, table.partition, table.lag) == ("ts", "event.id", {}, timedelta())
    assert (schedule.every, schedule.start, schedule.poll) == (timedelta(minutes=5), None, timedelta(minutes=1))
    assert schedule.longest_window == timedelta(days=1)
    assert (sandbox.backend, sandbox.memory, sandbox.cpus, sandbox.pids) == ("auto", 512 * 2**20, 1, 64)
    assert sandbox.batch_timeout == timedelta(minutes=1)
    assert (settings.prune.max_count, settings.prune.max_share) == (10, 0.3)
    assert settings.on_deploy is None


def test_no_file_means_defaults_and_a_warning() -> None:
    settings, [problem] = load({"README.md": File(content=b"")})
    assert settings == Settings()
    assert (problem.path, problem.severity, problem.code) == ("trapline.yml", "warning", "no-settings")
    assert "rename it" in load({"trapline.yaml": File(content=FULL)})[1][0].remedy
    assert load({"trapline.yml": File(content=FULL)})[0].default_destinations == ("console",)
    settings, [problem] = parse(b"# all commented out\n")
    assert (settings, problem.severity) == (Settings(), "warning")
    with pytest.raises(SettingsError, match="is a symbolic link"):
        load({"trapline.yml": File(content=b"", absent="is a symbolic link")})


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ("tables:\n  Cloud-Trail:\n    path: x", 2, "small letters", ""),
        ("tables:\n  t: {}", 2, "a table of the engine duckdb has either `path` or `iceberg`", ""),
        ("tables:\n  t: {path: x, iceberg: {catalog: a, table: b}}", 2, "has either `path` or `iceberg`", ""),
        ("tables:\n  t: {engine: athena, path: x}", 2, "`path` does not belong to a table of the engine athena", ""),
        ("tables:\n  t: {path: x, name: y}", 2, "`name` does not belong to a table of the engine duckdb", ""),
        ("tables:\n  t: {engine: athena}", 2, "there is no `athena` section", "add athena: with an output:"),
        ("tables:\n  t: {iceberg: {catalog: lak, table: b}}\ncatalogs: {lake: {}}", 2, "no catalog `lak`", "`lake`"),
        ("tables:\n  t: {path: x, partition: {day: '%j'}}", 2, "one or more of %H %Y %d %m", ""),
        ("tables:\n  t: {path: x, budget: {day: 0}}", 2, "should be more than 0", ""),
        (
            "tables:\n  t:\n    path: x\n    stream: {type: s3-events}",
            4,
            "a stream of the type s3-events has a `queue`",
            "",
        ),
        ("tables:\n  t:\n    path: x\n    stream: {type: kinesis}", 4, "of the type kinesis has a `name`", ""),
        (
            "tables:\n  t:\n    path: x\n    stream:\n      type: sqs\n      queue: q\n      name: n",
            4,
            "`name` does not belong to a stream of the type sqs",
            "",
        ),
        (
            "tables:\n  t:\n    iceberg: {catalog: a, table: b}\n    stream: {type: directory}\ncatalogs: {a: {}}",
            2,
            "only a table with a `path` has a stream of the type directory",
            "",
        ),
        (
            "tables:\n  t:\n    path: x\n    stream:\n      type: s3-event",
            5,
            "should be one of",
            "did you mean `s3-events`?",
        ),
        (
            "tables:\n  t:\n    path: x\n    stream:\n      type: directory\n      pause: 0ms",
            6,
            "longer than 0s",
            "",
        ),
        (
            "tables:\n  t:\n    path: x\n    stream:\n      type: directory\n      largest: 0",
            6,
            "should be more than 0",
            "",
        ),
        (
            "tables:\n  t:\n    path: x\n    stream:\n      queue: q",
            4,
            "`tables.t.stream.type` is missing",
            "add `type`",
        ),
        ("realtime:\n  batch: 0", 2, "at least 1", ""),
        ("athena: {output: bucket}", 1, "write it as s3://bucket/prefix/", ""),
        ("tables:\n  t:", 2, "`tables.t` is empty", "beneath `t`"),
        (
            "tables:\n  t: {path: x, engine: athna}",
            2,
            "should be one of 'duckdb' or 'athena'",
            "did you mean `athena`?",
        ),
        ("tables:\n  t: {path: x, lag: soon}", 2, "'soon' is no duration", ""),
        ("tables: [t]", 1, "`tables` is a list and should be a group of keys", ""),
        ("destinations:\n  a: {url: x}", 2, "`destinations.a.type` is missing", "add `type`"),
        ("destinations:\n  'a b': {type: x}", 2, "a destination's name", ""),
        (
            "default_destinations:\n- a\n- slak\ndestinations:\n  slack: {type: x}\n  a: {type: x}",
            3,
            "`slak`",
            "`slack`",
        ),
        ("default_destinations: [pager]", 1, "there is no destination `pager`", "add it under destinations:"),
        ("destinations:\n  pager: {type: x}\noperations:\n- pager\n- pagr", 5, "`pagr`", "`pager`"),
        ("schedule:\n  every: 0s", 2, "longer than 0s", ""),
        ("schedule:\n  start: soon", 2, "should be a date", "2022-10-23"),
        ("sandbox:\n  backend: dokcer", 2, "should be one of", "did you mean `docker`?"),
        ("sandbox:\n  memory: lots", 2, "'lots' is no size", ""),
        ("sandbox:\n  cpus: 0", 2, "at least 0.01", ""),
        ("sandbox:\n  cpus: .inf", 2, "should be a number", ""),
        ("sandbox:\n  pids: many", 2, "whole number", ""),
        ("prune:\n  max_share: 30", 2, "at most 1", ""),
        ("destinations:\n  a:\n    type: x\n    token: ${vault:y}", 4, "no reference", "${env:NAME}"),
        ("on_deploy: {secret: x}", 1, "`on_deploy.url` is missing", "add `url`"),
        ("on_deploy:\n  url: ${vault:y}", 2, "no reference", "${env:NAME}"),
        ("a: 1\na: 2", 2, "given twice", "keep one"),
        ("tables: [", 2, "not valid YAML", ""),
    ],
)
def test_errors_have_their_line(text: str, line: int, message: str, remedy: str) -> None:
    problem = refused(text)
    assert (problem.path, problem.line) == ("trapline.yml", line)
    assert message in problem.message
    assert remedy in problem.remedy


def test_a_stream_and_the_one_that_a_folder_has_anyway() -> None:
    text = "tables:\n  t: {path: x}\n  s: {path: x, stream: {type: sqs, queue: q, pause: 250ms, largest: 1MiB}}\n"
    tables = parse(text.encode())[0].tables
    implied, given_one = tables["t"].lands, tables["s"].lands
    assert implied is not None
    assert given_one is not None
    assert (implied.type, implied.pause, implied.largest) == ("directory", timedelta(milliseconds=500), 256 * 2**20)
    assert (given_one.type, given_one.pause, given_one.largest) == ("sqs", timedelta(milliseconds=250), 2**20)


def test_unknown_keys_warn_and_options_of_destinations_do_not() -> None:
    text = (
        b"tabels: {}\nschedule:\n  evry: 5m\ntables:\n  t: {path: x, lagg: 5m}\ndestinations:\n  a: {type: x, any: 1}\n"
    )
    _, problems = parse(text)
    assert [(p.line, p.severity, p.remedy) for p in problems] == [
        (1, "warning", "did you mean `tables`?"),
        (3, "warning", "did you mean `every`?"),
        (5, "warning", "did you mean `lag`?"),
    ]


def test_a_rate_is_the_destinations_and_not_its_plugins() -> None:
    destination = parse(b"destinations:\n  a: {type: x, rate: 5/30s, any: 1}\n")[0].destinations["a"]
    assert destination.rate == Rate(5, timedelta(seconds=30))
    assert destination.options == {"any": 1}
    wrong = refused("destinations:\n  a:\n    type: x\n    rate: many\n")
    assert wrong.line == 4
    assert "'many' is no rate; write one such as 1/s, 60/m or 500/h" in wrong.message


def test_a_secret_that_is_not_set_here_is_a_warning_where_an_environment_is_given() -> None:
    _, problems = parse(FULL, env={})
    said = [(problem.severity, problem.code, problem.line) for problem in problems]
    assert said == [("warning", "secret-not-set", 12), ("warning", "secret-not-set", 34)]
    assert ["cannot deliver" in problems[0].message, "told of deployments" in problems[1].message] == [True, True]
    assert parse(FULL)[1] == []


def test_later_errors_of_plugins_have_their_line() -> None:
    settings, _ = parse(FULL)
    problem = settings.problem(["destinations", "slack_my_team", "headers", "X-Team"], "wrong", "right", "x")
    assert (problem.path, problem.line, problem.message, problem.remedy) == ("trapline.yml", 13, "wrong", "right")
    assert settings.problem(["destinations", "slack_my_team", "not_there"], "m").line == 10
    assert Settings().problem(["tables"], "m").line == 0


def test_secrets_are_not_in_the_settings() -> None:
    settings, _ = parse(FULL, env={"SLACK_URL": "hunter2"})
    assert "hunter2" not in repr(settings) + settings.model_dump_json()
    options = settings.destinations["slack_my_team"].options
    assert resolve_secrets(options, {"SLACK_URL": "hunter2"})["url"] == "hunter2"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(list(Settings.model_fields)), JSON).map(yaml.safe_dump).map(str.encode)
    | st.binary()
)
def test_anything_parses_or_is_refused(text: bytes) -> None:
    try:
        settings, problems = parse(text, env={})
    except SettingsError as error:
        assert error.message and error.problems
        return
    assert isinstance(settings, Settings)
    assert all(problem.severity == "warning" for problem in problems)


def test_verification_is_not_for_a_commit_to_say() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(b"tables: {}\nverify: ssh\n")
    [problem] = [problem for problem in caught.value.problems if problem.severity == "error"]
    assert (problem.line, "--trusted-keys" in problem.remedy) == (2, True)
