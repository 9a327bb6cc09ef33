"""The contract kit: the tests every destination passes, ours first. Needs pytest (`pip install trapline-plugins[kit]`).

Subclass it in a test module, say how a destination is made, and run pytest:

    class TestTeams(HttpDestinationContract):
        secrets = ("s3cret",)

        def make(self, tools: Tools, url: str) -> Teams:
            return Teams("teams", TeamsConfig.model_validate({"url": url, "token": "s3cret"}), tools)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

import httpx
import pytest

from trapline_plugins.api import Delivered, Destination, Kind, Notification, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.fake_server import Answer, FakeServer, Request, serving
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification


class DestinationContract:
    """Subclass it as `class TestYours(DestinationContract)`; override `make` and whatever else says "override"."""

    secrets: tuple[str, ...] = ()
    """Every secret that `make` puts into the settings; none may ever be shown. Override."""

    def make(self, tools: Tools, url: str) -> Destination[Any]:
        """Override: a destination that delivers to `url`."""
        raise NotImplementedError

    def assert_within_limits(self, rendered: Any) -> None:
        """Override: asserts that the other side takes something of this size and shape."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _no_sleeping(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "sleep", _forbidden("sleep: the router waits"))

    # What it says about itself

    def test_it_says_what_it_is(self) -> None:
        destination = self._idle()
        assert destination.kind and destination.kind == type(destination).kind
        assert isinstance(destination.config, type(destination).config_model)
        assert destination.kinds and destination.kinds <= frozenset(Kind)

    def test_every_setting_is_described(self) -> None:
        for name, setting in type(self._idle()).config_model.model_fields.items():
            assert setting.description, f"the setting {name} has no description"

    # Rendering

    @pytest.mark.parametrize("case", NOTIFICATIONS)
    def test_render_is_pure_and_inside_the_limits(self, case: str) -> None:
        destination, notification = self._idle(), NOTIFICATIONS[case]
        first = destination.render(notification)
        assert destination.render(notification) == first, "rendering twice gives two results"
        assert self._idle().render(notification) == first, "two equal destinations render differently"
        self.assert_within_limits(first)

    def test_no_secret_is_ever_shown(self) -> None:
        destination = self._idle()
        for shown in (destination, destination.config):
            self._assert_no_secret(f"{shown!r} {shown}")
        self._assert_no_secret(repr(destination.render(a_notification())))

    # Machinery

    def _idle(self) -> Destination[Any]:
        """A destination whose tools all refuse: what it can do with it, it does without side effects."""
        transport = httpx.MockTransport(_forbidden("send anything"))
        tools = Tools(httpx.Client(transport=transport), _forbidden("read the clock"), _forbidden("write"))
        return self.make(tools, "http://127.0.0.1:9/")

    def _assert_no_secret(self, text: str) -> None:
        assert not any(secret in text for secret in self.secrets), "a secret is shown"


class HttpDestinationContract(DestinationContract):
    """The same for a destination that speaks HTTP: it is run against a real server on a socket of this machine."""

    def taken(self, request: Request) -> Answer:
        """Override where the other side says "I have it" in another way than with 200 and no body."""
        return Answer(200)

    def failing(self, status: int) -> Answer:
        """Override where the other side's errors have a shape: how it says 401, 404, 429 (retry after 7 s), 500."""
        return Answer(status, headers=(("Retry-After", "7"),) if status == 429 else ())

    @pytest.mark.parametrize("case", NOTIFICATIONS)
    def test_what_is_taken_is_delivered(self, case: str) -> None:
        with self._server() as server:
            assert isinstance(self._send(server, NOTIFICATIONS[case]), Delivered)
            assert server.requests

    @pytest.mark.parametrize("status", [500, 503])
    def test_trouble_on_the_other_side_is_retried(self, status: int) -> None:
        assert isinstance(self._failing_with(self.failing(status)), Retry)

    def test_a_limit_is_respected(self) -> None:
        outcome = self._failing_with(self.failing(429))
        assert isinstance(outcome, Retry)
        assert outcome.after == timedelta(seconds=7)

    @pytest.mark.parametrize("status", [401, 404])
    def test_a_refusal_needs_a_person(self, status: int) -> None:
        assert isinstance(self._failing_with(self.failing(status)), Rejected)

    def test_a_lost_answer_is_unknown(self) -> None:
        assert isinstance(self._failing_with(Answer(None)), Unknown)

    def test_nobody_there_is_retried(self) -> None:
        with self._server() as server:
            pass
        assert isinstance(self._send(server, a_notification()), Retry)

    def test_check_changes_nothing(self) -> None:
        with self._server() as server, self._client() as http:
            wrong = self.make(_tools(http), server.url).check()
            assert {request.method for request in server.requests} <= {"GET", "HEAD", "OPTIONS"}
        self._assert_no_secret(wrong or "")

    # Machinery

    def _failing_with(self, answer: Answer) -> Outcome:
        with self._server(answer) as server:
            outcome = self._send(server, a_notification())
            assert len(server.requests) == 1, "it retried by itself: the router does that"
        self._assert_no_secret(repr(outcome))
        return outcome

    def _send(self, server: FakeServer, notification: Notification) -> Outcome:
        with self._client() as http:
            destination = self.make(_tools(http), server.url)
            return destination.send(notification, destination.render(notification), "")

    @contextmanager
    def _server(self, answer: Answer | None = None) -> Iterator[FakeServer]:
        with serving(lambda request: answer or self.taken(request)) as server:
            yield server

    @staticmethod
    def _client() -> httpx.Client:
        return httpx.Client(timeout=5, trust_env=False)


def _tools(http: httpx.Client) -> Tools:
    return Tools(http=http, now=lambda: NOW, write=_forbidden("write to the terminal"))


def _forbidden(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError(f"it must not {what}")

    return refuse
