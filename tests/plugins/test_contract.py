"""The contract kit itself: it fails a destination that breaks the contract."""

import subprocess
import sys
import time
from typing import Any

import pytest
from pydantic import Field

from trapline_plugins.api import Delivered, Destination, DestinationConfig, Notification, Outcome, Tools
from trapline_plugins.contract import HttpDestinationContract


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

    def make(self, tools: Tools, url: str) -> Careless:
        return Careless("careless", LeakyConfig(url=url), tools)

    def assert_within_limits(self, rendered: Any) -> None:
        assert len(rendered) < 100


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


def test_sleeping_is_found() -> None:
    with pytest.MonkeyPatch.context() as patch:
        Contract._no_sleeping.__wrapped__(Contract(), patch)  # type: ignore[attr-defined]  # the fixture's function
        with pytest.raises(AssertionError, match="it must not sleep"):
            time.sleep(1)


def test_only_the_kit_needs_pytest() -> None:
    imports = "import trapline_plugins.builtin, trapline_plugins.fake_server, trapline_plugins.samples"
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.modules['pytest'] = None; {imports}"])
    assert done.returncode == 0
