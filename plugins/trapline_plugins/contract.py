"""The contract kit: the tests every destination passes, ours first. Needs pytest (`pip install trapline-plugins[kit]`).

Subclass it in a test module, say how a destination is made, and run pytest:

    class TestTeams(HttpDestinationContract):
        secrets = ("s3cret",)

        def make(self, tools: Tools, url: str) -> Teams:
            return Teams("teams", TeamsConfig.model_validate({"url": url, "token": "s3cret"}), tools)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeVar, get_args

import httpx
import pytest

from trapline_plugins.api import Delivered, Destination, Kind, Notification, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.fake_server import Answer, FakeServer, Request, serving
from trapline_plugins.fakes.faults import Fault, Faults
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


@dataclass(frozen=True, slots=True)
class OtherSide:
    """A fake that remembers: where it is, what shall go wrong there, and how many messages (or the like) it holds."""

    url: str
    faults: Faults
    count: Callable[[], int]


class HttpDestinationContract(DestinationContract):
    """The same for a destination that speaks HTTP: it is run against a real server on a socket of this machine."""

    def taken(self, request: Request) -> Answer:
        """Override where the other side says "I have it" in another way than with 200 and no body."""
        return Answer(200)

    def failing(self, status: int) -> Answer:
        """Override where the other side's errors have a shape: how it says 401, 404, 429 (retry after 7 s), 500."""
        return Answer(status, headers=(("Retry-After", "7"),) if status == 429 else ())

    def identity(self, request: Request) -> object:
        """Override where the destination is `idempotent` by less than the whole body: what a repeat is known by."""
        return request.body

    def other_side(self) -> AbstractContextManager[OtherSide]:
        """Override where the destination implements `find`: a fake in which it can look."""
        pytest.fail("it implements `find`: override `other_side`, so that it can show that it finds")

    def sent(self, notification: Notification, ref: str = "") -> list[Request]:
        """For tests of your own: what is sent for this notification."""
        with self._server() as server:
            _expect(self._send(server.url, notification, ref), Delivered)
            return server.requests

    # What each answer means

    @pytest.mark.parametrize("case", NOTIFICATIONS)
    def test_what_is_taken_is_delivered(self, case: str) -> None:
        assert self.sent(NOTIFICATIONS[case])

    @pytest.mark.parametrize("kind", [Kind.UPDATED, Kind.RESOLVED])
    def test_what_follows_is_delivered_with_the_ref_of_the_first(self, kind: Kind) -> None:
        with self._server() as server:
            first = _expect(self._send(server.url, a_notification()), Delivered)
            self._assert_no_secret(first.ref)
            follows = a_notification(kind=kind, delivery_id="6f2a1d9c")
            _expect(self._send(server.url, follows, first.ref), Delivered)

    @pytest.mark.parametrize("status", [500, 503])
    def test_trouble_on_the_other_side_is_retried(self, status: int) -> None:
        _expect(self._failing_with(self.failing(status)), Retry)

    def test_a_limit_is_respected(self) -> None:
        outcome = _expect(self._failing_with(self.failing(429)), Retry)
        assert outcome.after == timedelta(seconds=7), f"it would come back after {outcome.after}"

    @pytest.mark.parametrize("status", [401, 404])
    def test_a_refusal_needs_a_person(self, status: int) -> None:
        _expect(self._failing_with(self.failing(status)), Rejected)

    def test_a_redirect_is_not_followed(self) -> None:
        outcome = self._failing_with(Answer(307, headers=(("Location", "/elsewhere"),)))
        assert not isinstance(outcome, Delivered), "what is sent on may carry a secret to anywhere"

    def test_nobody_there_is_retried(self) -> None:
        with self._server() as server:
            pass
        _expect(self._send(server.url, a_notification()), Retry)

    @pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"text"', b"<html>", b"\xff\x00"])
    @pytest.mark.parametrize("status", [200, 400])
    def test_no_answer_is_a_surprise(self, status: int, body: bytes) -> None:
        outcome = self._failing_with(Answer(status, body, (("Content-Type", "application/json"),)))
        assert isinstance(outcome, get_args(Outcome)), f"send returned {outcome!r}"

    # No duplicate

    def test_a_lost_answer_is_unknown(self) -> None:
        _expect(self._failing_with(Answer(None)), Unknown)

    def test_a_repeat_can_be_told(self) -> None:
        notification = a_notification()
        [first], [second] = self.sent(notification), self.sent(notification)
        if type(self._idle()).idempotent:
            assert self.identity(first) == self.identity(second), "the other side takes a repeat for another one"
        else:
            said = f"{first.path} {first.headers}".encode() + first.body
            assert notification.delivery_id.encode() in said, "nobody can tell a repeat: send the delivery's id along"

    def test_what_arrived_is_found_and_what_did_not_is_not(self) -> None:
        if type(self._idle()).find is Destination.find:
            return  # it cannot look; whether a repeat can be told is tested above
        with self.other_side() as there, self._client() as http:
            destination, notification = self.make(_tools(http), there.url), a_notification()
            there.faults.expect(Fault.BROKEN)
            _expect(self._send(there.url, notification), Retry)
            assert not isinstance(destination.find(notification), Delivered), "it finds what never arrived"
            there.faults.expect(Fault.LOST_ANSWER)
            _expect(self._send(there.url, notification), Unknown)
            assert there.count() == 1, f"the other side holds {there.count()}"
            found = _expect(destination.find(notification), Delivered)
            self._assert_no_secret(found.ref)
            resolved = a_notification(kind=Kind.RESOLVED, delivery_id="6f2a1d9c")
            _expect(self._send(there.url, resolved, found.ref), Delivered)
            there.faults.expect(Fault.BROKEN)
            _expect(destination.find(a_notification(delivery_id="7a3b2e0d")), Unknown)  # it cannot look now

    # What it leaves alone

    def test_check_changes_nothing(self) -> None:
        with self._server() as server, self._client() as http:
            wrong = self.make(_tools(http), server.url).check()
            methods = {request.method for request in server.requests}
            assert methods <= {"GET", "HEAD", "OPTIONS"}, f"{methods} may change something"
        self._assert_no_secret(wrong or "")

    @pytest.mark.parametrize("status", [401, 500, None])
    def test_check_says_what_is_wrong_and_never_raises(self, status: int | None) -> None:
        answer = self.failing(status) if status else Answer(None)
        with self._server(answer) as server, self._client() as http:
            wrong = self.make(_tools(http), server.url).check()
        assert wrong is None or isinstance(wrong, str), f"check returned {wrong!r}"
        self._assert_no_secret(wrong or "")

    def test_it_waits_for_nothing_for_ever(self) -> None:
        waited: list[float | None] = []
        with self._server() as server, self._client() as http:
            http.event_hooks = {"request": [lambda request: waited.extend(request.extensions["timeout"].values())]}
            notification = a_notification()
            destination = self.make(_tools(http), server.url)
            destination.send(notification, destination.render(notification), "")
        assert all(seconds is not None and seconds <= 60 for seconds in waited), "a request has no time limit"

    def test_nothing_of_its_own_logs_a_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            for answer in (None, self.failing(500), Answer(None)):
                with self._server(answer) as server:
                    self._send(server.url, a_notification())
        theirs = ("httpx", "httpcore", "botocore", "urllib3")  # the controller hides secrets in these
        logged = [record for record in caplog.records if record.name.split(".")[0] not in theirs]
        self._assert_no_secret(" ".join(f"{record.getMessage()} {record.exc_info}" for record in logged))

    # Machinery

    def _failing_with(self, answer: Answer) -> Outcome:
        with self._server(answer) as server:
            outcome = self._send(server.url, a_notification())
            assert len(server.requests) == 1, "it retried by itself: the router does that"
        self._assert_no_secret(repr(outcome))
        return outcome

    def _send(self, url: str, notification: Notification, ref: str = "") -> Outcome:
        with self._client() as http:
            destination = self.make(_tools(http), url)
            return destination.send(notification, destination.render(notification), ref)

    @contextmanager
    def _server(self, answer: Answer | None = None) -> Iterator[FakeServer]:
        with serving(lambda request: answer or self.taken(request)) as server:
            yield server

    @staticmethod
    def _client() -> httpx.Client:
        return httpx.Client(timeout=5, trust_env=False)


Expected = TypeVar("Expected")


def _expect(outcome: object, kind: type[Expected]) -> Expected:
    assert isinstance(outcome, kind), f"{kind.__name__} is right here, and not {outcome!r}"
    return outcome


def _tools(http: httpx.Client) -> Tools:
    return Tools(http=http, now=lambda: NOW, write=_forbidden("write to the terminal"))


def _forbidden(what: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise AssertionError(f"it must not {what}")

    return refuse
