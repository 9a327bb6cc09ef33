"""`trapline destinations` and `trapline deliveries`, as a user has them, with a real server at the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.playground import NOON, Playground, column, deploy
from trapline.cli import cli
from trapline.clock import system_clock
from trapline.state.schema import deliveries
from trapline_plugins.fake_server import Answer, FakeServer, Request, serving


class OtherSide:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: tuple[tuple[str, str], ...] = ()

    def answer(self, _: Request) -> Answer:
        return Answer(self.status, headers=self.headers)


@pytest.fixture
def other() -> OtherSide:
    return OtherSide()


@pytest.fixture
def server(other: OtherSide) -> Iterator[FakeServer]:
    with serving(other.answer) as server:
        yield server


@pytest.fixture
def ground(tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """A destination that works, and one whose secret is missing."""
    monkeypatch.setenv("HOOK", server.url)
    ground = Playground(tmp_path)
    ground.settings(
        destinations={
            "hook": {"type": "webhook", "url": "${env:HOOK}"},
            "lost": {"type": "webhook", "url": "${env:NOT_THERE}"},
        },
        default_destinations=["hook"],
    )
    ground.detection("one")
    with ground.controller() as controller:
        deploy(ground, controller)
    return ground


def run(ground: Playground, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--home", str(ground.home)], terminal_width=200)


def found(ground: Playground) -> None:
    """A match, and one pass of delivery."""
    ground.records(1)
    ground.at(5)
    with ground.controller() as controller:
        controller.tick()
        controller.deliver()


def test_they_are_listed_with_what_waits(ground: Playground, other: OtherSide) -> None:
    other.status = 500
    found(ground)
    result = run(ground, "destinations", "list")
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "hook webhook failing since 2026-01-01 12:05:00 1 0 0" in lines
    assert "hook: it answered 500 Internal Server Error; it is tried again" in lines
    assert "lost webhook cannot be used 0 0 0" in lines
    assert "NOT_THERE" in result.output
    said = json.loads(run(ground, "destinations", "list", "--json").stdout)
    hook, lost = said["destinations"]
    assert (hook["usable"], lost["usable"]) == (True, False)
    assert (hook["failing_since"], hook["reason"]) == (
        "2026-01-01T12:05:00Z",
        "it answered 500 Internal Server Error",
    )
    assert (lost["failing_since"], lost["reason"]) == (None, "")


def test_the_status_names_a_destination_that_fails_until_it_works_again(ground: Playground, other: OtherSide) -> None:
    other.status = 503
    found(ground)
    reason = "it answered 503 Service Unavailable"
    line = f"destination hook: failing since 2026-01-01 12:05:00, with 1 delivery waiting: {reason}"
    assert line in run(ground, "status").output
    [failing] = json.loads(run(ground, "status", "--json").stdout)["destinations"]
    assert (failing["name"], failing["waiting"], failing["reason"]) == ("hook", 1, reason)

    other.status = 200
    ground.at(20)
    with ground.controller() as controller:
        assert controller.deliver()[0].delivered == 1
    assert "failing" not in run(ground, "status").output
    assert json.loads(run(ground, "status", "--json").stdout)["destinations"] == []
    assert " ok " in run(ground, "destinations", "list").output


def test_a_check_sends_nothing(ground: Playground, server: FakeServer) -> None:
    result = run(ground, "destinations", "check", "hook")
    assert (result.exit_code, result.output.strip()) == (0, "hook: ok")
    assert {request.method for request in server.requests} == {"HEAD"}
    assert run(ground, "destinations", "check").exit_code == 1
    assert "cannot be used" in str(run(ground, "destinations", "check", "lost").exception)
    assert "did you mean `hook`?" in getattr(run(ground, "destinations", "check", "hok").exception, "remedy", "")


def test_a_test_alert_is_marked_and_resolved(ground: Playground, server: FakeServer) -> None:
    result = run(ground, "destinations", "test", "hook")
    assert result.exit_code == 0
    assert result.output.splitlines() == ["opened: delivered", "resolved: delivered"]
    opened, resolved = (json.loads(request.body)["data"] for request in server.requests)
    assert (opened["kind"], resolved["kind"]) == ("opened", "resolved")
    assert opened["alert_id"] == resolved["alert_id"]
    assert opened["title"].startswith("[TEST]")
    assert opened["delivery_id"] != resolved["delivery_id"]
    assert ground.rows(deliveries) == []


def test_one_round_fails_for_as_long_as_a_destination_does(ground: Playground, other: OtherSide) -> None:
    ground.settings(
        destinations={"hook": {"type": "webhook", "url": "${env:HOOK}"}},
        default_destinations=["hook"],
        schedule={"start": NOON, "longest_window": "4000d"},
    )
    ground.commit()
    ground.records(1)
    other.status, other.headers = 429, (("Retry-After", "86400"),)
    for undelivered in (1, 0):  # in the second round nothing is sent to it, as it asked
        once = ("controller", "--once", "--json", "--sandbox", "process", "--repository", str(ground.repository))
        result = run(ground, *once)
        said = json.loads(result.stdout)
        assert (result.exit_code, said["undelivered"]) == (1, undelivered)
        assert said["delivery_problems"] == {"hook": "it answered 429 Too Many Requests"}


def test_a_test_that_arrives_has_what_waits_sent_at_once(ground: Playground, other: OtherSide) -> None:
    other.status, other.headers = 429, (("Retry-After", "86400"),)
    ground.records(1)
    ground.now = system_clock()  # by which the command goes
    with ground.controller() as controller:
        controller.tick()
        assert controller.deliver()[0].retrying == 1
        assert run(ground, "destinations", "test", "hook").exit_code == 1
        assert controller.deliver()[0].delivered == 0
        other.status = 200
        assert run(ground, "destinations", "test", "hook").exit_code == 0
        ground.now = system_clock()
        assert controller.deliver()[0].delivered == 1


def test_a_test_that_does_not_arrive_says_why(ground: Playground, server: FakeServer, other: OtherSide) -> None:
    other.status = 403
    result = run(ground, "destinations", "test", "hook", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"kind": "opened", "outcome": "rejected", "reason": "it answered 403 Forbidden"}
    ]
    assert len(server.requests) == 1


def test_what_was_given_up_is_listed_and_sent_again(ground: Playground, server: FakeServer, other: OtherSide) -> None:
    other.status = 403
    found(ground)
    [dead] = json.loads(run(ground, "deliveries", "list", "--state", "dead", "--json").stdout)
    assert (dead["destination"], dead["reason"]) == ("hook", "it answered 403 Forbidden")
    assert "it answered 403 Forbidden" in run(ground, "deliveries", "list").output
    shown = run(ground, "deliveries", "show", dead["id"][:10])
    assert "hook: opened, dead" in shown.output
    assert '"detection": "one"' in shown.output

    other.status = 200
    result = run(ground, "deliveries", "redrive", "--dead", "--destination", "hook")
    assert result.output.strip() == "1 delivery will be sent again"
    ground.now = system_clock()
    with ground.controller() as controller:
        assert controller.deliver()[0].delivered == 1
    ids = [request.headers["webhook-id"] for request in server.requests]
    assert ids == [dead["id"]] * 2
    assert column(ground.rows(deliveries), "state") == ["delivered"]


@pytest.mark.parametrize("arguments", [(), ("--dead", "x"), ("x", "--destination", "hook")])
def test_redrive_wants_to_know_what(ground: Playground, arguments: tuple[str, ...]) -> None:
    assert run(ground, "deliveries", "redrive", *arguments).exit_code == 2


def test_what_was_not_given_up_is_not_sent_twice(ground: Playground, server: FakeServer) -> None:
    found(ground)
    [sent] = ground.rows(deliveries)
    result = run(ground, "deliveries", "redrive", sent["id"])
    assert "was not given up: it is delivered" in str(result.exception)
    assert "no delivery has an id" in str(run(ground, "deliveries", "redrive", "nonesuch").exception)
    assert run(ground, "deliveries", "redrive", "--dead").output.strip() == "0 deliveries will be sent again"
    assert len(server.requests) == 1
