"""The long-running process: leads or stands by, takes hints, and shows when a loop stands still."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import trapline.service as service_module
from tests.playground import NOON, Playground, column, deploy, eventually
from trapline.controller import Controller
from trapline.service import Service, Serving
from trapline.state.schema import deliveries, matches, streams
from trapline_plugins.fake_server import Answer, Request, serving

SECRET = b"the secret of the hooks"


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """A repository that is polled so seldom that whatever happens soon is due to a hint."""
    ground = Playground(tmp_path)
    ground.settings(schedule={"every": "1h", "poll": "1h"})
    ground.detection("one")
    ground.commit()
    return ground


@contextmanager
def running(controller: Controller, serving: Serving) -> Iterator[Service]:
    service, stop = Service(controller, serving), threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        yield service
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def address(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level("INFO", logger="trapline")
    found = lambda: [str(r.args[0]) for r in caplog.records if r.msg == "listening on %s" and r.args]  # noqa: E731
    return lambda: str(eventually(found)[-1])


def test_a_hint_is_followed_at_once(ground: Playground, address: Callable[[], str]) -> None:
    controller = ground.controller()
    with running(controller, Serving("127.0.0.1:0", SECRET)) as service:
        url = address()
        eventually(lambda: "one" in controller.ledger.deployments())
        ready = httpx.get(f"{url}/readyz")
        assert (ready.status_code, ready.json()["role"]) == (200, "leading")
        assert httpx.get(f"{url}/healthz").status_code == 200
        ground.detection("two")
        ground.commit()
        assert httpx.post(f"{url}/hooks/generic", content=b"{}").status_code == 401
        time.sleep(0.5)
        assert "two" not in controller.ledger.deployments()
        accepted = httpx.post(f"{url}/hooks/generic", headers={"Authorization": f"Bearer {SECRET.decode()}"})
        assert accepted.status_code == 202
        eventually(lambda: "two" in controller.ledger.deployments())
        assert service.health().detail["stuck"] == []


def test_a_hint_to_who_stands_by_reaches_who_leads(ground: Playground, address: Callable[[], str]) -> None:
    leader, second = ground.controller(), ground.controller()
    with running(leader, Serving()) as leading:
        eventually(lambda: "one" in leader.ledger.deployments())
        with running(second, Serving("127.0.0.1:0", SECRET)) as standing_by:
            url = address()
            assert (leading.health().detail["role"], standing_by.health().detail["role"]) == ("leading", "standing by")
            assert httpx.get(f"{url}/readyz").status_code == 200  # ready to take over
            ground.detection("two")
            ground.commit()
            httpx.post(f"{url}/hooks/generic", headers={"Authorization": f"Bearer {SECRET.decode()}"})
            eventually(lambda: "two" in leader.ledger.deployments())


def test_a_loop_that_stands_still_is_shown_and_one_that_gets_on_is_not(
    ground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = ground.controller()
    stuck, getting_on = threading.Event(), threading.Event()

    def tick(**_: Any) -> Any:
        while not getting_on.is_set():  # long, but it gets on with it
            controller.beat("tick")
            time.sleep(0.05)
        stuck.wait(20)  # and now it does not
        raise RuntimeError("it was stuck")

    monkeypatch.setattr(controller, "tick", tick)
    with running(controller, Serving(stall=timedelta(seconds=1))) as service:
        eventually(lambda: "one" in controller.ledger.deployments())
        time.sleep(1.5)
        assert service.health().ok
        getting_on.set()
        eventually(lambda: not service.health().ok)
        assert service.health().detail["stuck"] == ["tick"]
        stuck.set()  # it is tried again, and what failed is no standstill
        eventually(lambda: service.health().ok)


def test_it_wakes_when_a_detection_is_due_also_one_that_was_deployed_just_now(ground: Playground) -> None:
    controller = ground.controller()
    with running(controller, Serving()) as service:
        eventually(lambda: "one" in controller.ledger.deployments())
        ground.detection("often", schedule={"every": "1s", "start": NOON})
        ground.commit()
        service._hint("the test")
        eventually(lambda: "often" in controller.ledger.deployments())
        ground.records(0.1)
        ground.at(0.5)
        eventually(lambda: "often" in column(ground.rows(matches), "identity"))


def test_an_interrupt_that_a_library_took_in_a_loop_ends_the_process_and_not_the_loop(
    ground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, stop = ground.controller(), threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:

        def tick(**_: Any) -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(controller, "tick", tick)
        service = Service(controller)
        waiting = threading.Timer(30, stop.set)  # a bound, should the interrupt be lost
        waiting.start()
        service.run(stop)  # as in a real process, in the main thread
        assert waiting.is_alive()
        waiting.cancel()
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_is_not_ready_before_it_has_seen_a_commit(ground: Playground) -> None:
    away = ground.repository.rename(ground.repository.with_name("away"))
    ground.repository.mkdir()  # there is no repository in it yet
    controller = ground.controller()
    with running(controller, Serving()) as service:
        eventually(lambda: controller.memory.source().error)
        assert (service.ready().ok, service.health().ok) == (False, True)
        ground.repository.rmdir()
        away.rename(ground.repository)
        controller.memory.leave_hint()
        eventually(lambda: service.ready().ok)


def test_deploy_results_are_told_to_a_command_from_the_first_on(ground: Playground, tmp_path: Path) -> None:
    told = tmp_path / "told"
    controller = ground.controller()
    with running(controller, Serving(on_deploy=f"tee -a {told}")):
        eventually(lambda: told.exists() and '"action":"deployed"' in told.read_text())
    assert '"name":"one"' in told.read_text()
    assert '"sync"' not in (status := (ground.home / "deploy.json").read_text())
    assert '"action":"synced"' in status


def test_who_is_to_be_told_is_told_once_a_secret_is_there(ground: Playground, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    with serving(lambda _: Answer(200)) as team:
        headers = {"Authorization": f"Bearer ${{file:{secret}}}"}
        ground.settings(on_deploy={"url": team.url, "headers": headers}, schedule={"every": "1h", "poll": "1h"})
        ground.commit()
        controller = ground.controller()
        with running(controller, Serving()):
            eventually(lambda: "one" in controller.ledger.deployments())
            time.sleep(1.5)  # longer than it pauses between two tries
            assert team.requests == []
            secret.write_text("at-last")
            eventually(lambda: team.requests)
    assert team.requests[0].headers["authorization"] == "Bearer at-last"


def test_what_is_found_is_delivered_at_once_and_what_is_being_sent_at_the_end_is_written_down(
    ground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries are looked for once an hour here, so that whatever comes sooner is due to the commit itself."""
    monkeypatch.setattr(service_module, "PAUSE", timedelta(hours=1))
    arrived, answer = threading.Event(), threading.Event()

    def taken(_: Request) -> Answer:
        arrived.set()
        answer.wait(20)
        return Answer(200)

    with serving(taken) as server:
        ground.settings(
            destinations={"hook": {"type": "webhook", "url": server.url}},
            default_destinations=["hook"],
            schedule={"every": "1h", "poll": "1h", "start": NOON},
        )
        ground.commit()
        controller = ground.controller()
        with running(controller, Serving()):
            eventually(lambda: "one" in controller.ledger.deployments())
            ground.records(1)
            ground.at(61)
            controller.tick()
            assert arrived.wait(20)
            assert column(ground.rows(deliveries), "state") == ["unknown"]
            threading.Timer(0.3, answer.set).start()  # when the loops have ended
        assert column(ground.rows(deliveries), "state") == ["delivered"]


def test_a_stream_that_is_down_is_tried_again_less_and_less_often(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.detection("one", realtime=True)
    with ground.controller() as controller:
        deploy(ground, controller)
        service = Service(controller)
        pauses = []
        for _ in range(8):
            service._listen("logs")  # which has no records yet
            pauses.append(service._until_listening("logs").total_seconds())
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
        ground.records(1)
        service._listen("logs")
        assert service._until_listening("logs") == timedelta()


def test_new_settings_end_the_pause_of_a_stream_that_is_down(
    ground: Playground, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "AGAIN", timedelta(hours=1))
    monkeypatch.setattr(service_module, "AGAIN_AT_LAST", timedelta(hours=1))
    caplog.set_level("INFO", logger="trapline")
    table = {"path": "lake/gone"}
    ground.settings(tables={"logs": table}, schedule={"every": "1h", "poll": "1s"})
    ground.detection("one", realtime=True)
    ground.commit()
    ground.records(1)
    controller = ground.controller()
    with running(controller, Serving()):
        eventually(lambda: "gone does not exist" in caplog.text)
        ground.settings(tables={"logs": {"path": "lake/logs"}}, schedule={"every": "1h", "poll": "1s"})
        ground.commit()
        eventually(lambda: column(ground.rows(streams), "trouble") == [""])
