"""The contract kit itself: it fails a destination that breaks the contract."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from pydantic import Field

from trapline_plugins.api import Delivered, Destination, DestinationConfig, Kind, Notification, Outcome, Tools, Unknown
from trapline_plugins.contract import HttpDestinationContract, OtherSide
from trapline_plugins.fake_server import Answer, serving
from trapline_plugins.fakes.faults import Faults


class LeakyConfig(DestinationConfig):
    url: str
    token: str = Field("s3cret", description="Not a SecretStr.")


class Careless(Destination[LeakyConfig]):
    """Reads the clock while rendering, sleeps, retries, and takes every answer for a yes."""

    kind = "careless"
    config_model = LeakyConfig

    def render(self, notification: Notification) -> str:
        return f"{notification.title} at {self.tools.now()}"

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        for _ in range(2):
            self.tools.http.post(self.config.url, content=b"x")
        return Delivered()

    def check(self) -> str | None:
        self.tools.http.post(self.config.url, content=b"a test message")
        return None


class Contract(HttpDestinationContract):
    secrets = ("s3cret",)

    def make(self, tools: Tools, url: str) -> Destination[Any]:
        return Careless("careless", LeakyConfig(url=url), tools)

    def assert_within_limits(self, rendered: Any) -> None:
        assert len(rendered) < 100


class Forgetful(Careless):
    """Forwards its token, waits for ever, logs, raises at odd answers, and finds whatever it is asked for."""

    idempotent = True
    sent = 0

    def render(self, notification: Notification) -> str:
        return notification.title

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        type(self).sent += 1
        logging.getLogger("forgetful").info("with %s", self.config.token)
        message = f"message {self.sent}"
        try:
            response = self.tools.http.post(self.config.url, content=message, timeout=None, follow_redirects=True)
        except httpx.HTTPError as error:
            return Unknown(type(error).__name__)
        return Delivered(str(response.json())) if response.content else Delivered("s3cret")

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        return Delivered()

    def check(self) -> str | None:
        return f"{self.config.token} is refused"


class ForgetfulContract(Contract):
    def make(self, tools: Tools, url: str) -> Destination[Any]:
        return Forgetful("forgetful", LeakyConfig(url=url), tools)

    @contextmanager
    def other_side(self) -> Iterator[OtherSide]:
        faults = Faults(unauthorised=Answer(401))
        with serving(faults.around(lambda _: Answer(200))) as server:
            yield OtherSide(server.url, faults, lambda: len(server.requests))


def test_an_impure_render_is_found() -> None:
    with pytest.raises(AssertionError, match="read the clock"):
        Contract().test_render_is_pure_and_inside_the_limits("everyday")


def test_a_shown_secret_is_found() -> None:
    with pytest.raises(AssertionError, match="a secret is shown"):
        Contract().test_no_secret_is_ever_shown()


def test_a_setting_without_description_is_found() -> None:
    with pytest.raises(AssertionError, match="the setting url has no description"):
        Contract().test_every_setting_is_described()


@pytest.mark.parametrize("test", ["test_trouble_on_the_other_side_is_retried", "test_a_refusal_needs_a_person"])
def test_its_own_retries_are_found(test: str) -> None:
    with pytest.raises(AssertionError, match="it retried by itself"):
        getattr(Contract(), test)(500)


def test_a_check_with_side_effects_is_found() -> None:
    with pytest.raises(AssertionError):
        Contract().test_check_changes_nothing()


@pytest.mark.parametrize(
    ("test", "arguments", "said"),
    [
        ("test_a_redirect_is_not_followed", (), "it retried by itself"),
        ("test_what_follows_is_delivered_with_the_ref_of_the_first", (Kind.RESOLVED,), "a secret is shown"),
        ("test_a_repeat_can_be_told", (), "takes a repeat for another one"),
        ("test_check_says_what_is_wrong_and_never_raises", (500,), "a secret is shown"),
        ("test_it_waits_for_nothing_for_ever", (), "no time limit"),
        ("test_what_arrived_is_found_and_what_did_not_is_not", (), r"Retry is right here, and not Delivered\("),
    ],
)
def test_what_else_it_finds(test: str, arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        getattr(ForgetfulContract(), test)(*arguments)


def test_an_answer_that_raises_is_found() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        ForgetfulContract().test_no_answer_is_a_surprise(200, b"{")


def test_a_logged_secret_is_found(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AssertionError, match="a secret is shown"):
        ForgetfulContract().test_nothing_of_its_own_logs_a_secret(caplog)


def test_a_repeat_that_nobody_can_tell_is_found() -> None:
    class Blind(ForgetfulContract):
        def make(self, tools: Tools, url: str) -> Destination[Any]:
            made = super().make(tools, url)
            type(made).idempotent = False
            return made

    with pytest.raises(AssertionError, match="send the delivery's id along"):
        Blind().test_a_repeat_can_be_told()
    Forgetful.idempotent = True


def test_who_looks_must_show_that_it_finds() -> None:
    class Unshown(ForgetfulContract):
        other_side = HttpDestinationContract.other_side  # type: ignore[assignment]

    with pytest.raises(pytest.fail.Exception, match="override `other_side`"):
        Unshown().test_what_arrived_is_found_and_what_did_not_is_not()


def test_sleeping_is_found() -> None:
    with pytest.MonkeyPatch.context() as patch:
        Contract._no_sleeping.__wrapped__(Contract(), patch)  # type: ignore[attr-defined]  # the fixture's function
        with pytest.raises(AssertionError, match="it must not sleep"):
            time.sleep(1)


def test_only_the_kit_needs_pytest() -> None:
    imports = "import trapline_plugins.builtin, trapline_plugins.fake_server, trapline_plugins.samples"
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.modules['pytest'] = None; {imports}"])
    assert done.returncode == 0
