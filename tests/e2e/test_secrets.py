"""A plugin that says its secrets wherever it can: none of them is shown, logged or kept anywhere."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import TRAPLINE, environment
from tests.playground import Playground, eventually
from trapline_plugins.fake_server import Answer, FakeServer, serving

TOKEN = "T00/B00/hunter2+very/secret="
LEAKY = """
import logging
import threading
import warnings
from typing import Any

from pydantic import SecretStr
from trapline_plugins.api import Delivered, Destination, DestinationConfig, Retry, hookimpl

logging.getLogger("httpx").setLevel(logging.DEBUG)
logging.getLogger("httpcore").setLevel(logging.DEBUG)
log = logging.getLogger("leaky")


class Config(DestinationConfig):
    url: str
    way: str
    token: SecretStr


class Leaky(Destination[Config]):
    kind = "leaky"
    config_model = Config

    def render(self, notification: Any) -> str:
        log.error("rendering for %s with %r", self.config.url, self.config)
        if self.config.way == "render":
            raise RuntimeError(f"cannot render for {self.config.url}")
        return ""

    def send(self, notification: Any, rendered: str, ref: str) -> Any:
        response = self.tools.http.post(self.config.url)
        way = self.config.way
        if way == "raise":
            try:
                response.raise_for_status()
            except Exception as error:
                log.exception("it went wrong")
                raise ValueError(f"no good: {self.config.url!r}") from error
        if way == "thread":
            def crash() -> None:
                raise RuntimeError(self.config.url)
            thread = threading.Thread(target=crash)
            thread.start()
            thread.join()
        if way == "odd":
            return "x" * 60 + self.config.url
        if way == "retry":
            warnings.warn(f"warned of {self.config.url}", stacklevel=1)
            return Retry(f"try {self.config.url} again")
        return Delivered(self.config.token.get_secret_value())

    def check(self) -> str:
        return f"{self.config.url} {self.config}"


@hookimpl
def register_destinations() -> Any:
    return [Leaky]
"""
WAYS = ("render", "raise", "thread", "odd", "retry", "ref")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving(lambda _: Answer(404)) as server:
        yield server


@pytest.fixture
def leaky(ground: Playground, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playground:
    """A playground with a destination for each way to leak, and one for each kind of secret in a built-in."""
    plugins = tmp_path / "plugins"
    info = plugins / "leaky-1.0.dist-info"
    info.mkdir(parents=True)
    (plugins / "leaky.py").write_text(LEAKY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leaky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[trapline]\nleaky = leaky\n")
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    monkeypatch.setenv("LEAKY_URL", f"{server.url}hook/{TOKEN}")
    secret = "${env:LEAKY_URL}"
    destinations = {way: {"type": "leaky", "url": secret, "token": secret, "way": way} for way in WAYS}
    destinations["hook"] = {"type": "webhook", "url": "${env:LEAKY_URL}"}
    destinations["wrong"] = {"type": "webhook", "url": "${env:LEAKY_URL}", "secret": "${env:LEAKY_URL}"}
    ground.settings(destinations=destinations, default_destinations=[*destinations])
    ground.detection("one", "def detect(record):\n    print('seen')\n    return True\n")
    ground.commit()
    ground.records(1)
    return ground


def shown(text: str) -> list[str]:
    """The parts of the secret that are in a text."""
    return [part for part in (TOKEN, "hunter2", "very/secret", "hunter2%2Bvery") if part in text]


def test_no_command_shows_a_secret(trapline: Callable[..., Any], leaky: Playground, server: FakeServer) -> None:
    at = ("--home", leaky.home)
    following = (*at, "--repository", leaky.repository, "--sandbox", "process")
    once = subprocess.run(
        [*TRAPLINE, "controller", "--once", "--json", *map(str, following)],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert json.loads(once.stdout)["delivered"] == 2, once.stderr
    assert all(TOKEN in request.path for request in server.requests)  # it was used
    for said in ("cannot render for **********", "rendering for **********", "Traceback", "HTTP Request: POST"):
        assert said in once.stdout + once.stderr
    texts = [once.stdout, once.stderr]
    alerts = trapline("alerts", "list", *at, "--json").json
    assert alerts
    deliveries = trapline("deliveries", "list", *at, "--json").json
    assert len(deliveries) == len(WAYS) + 2
    reasons = {one["destination"]: one["reason"] for one in deliveries}
    assert "**********" in reasons["raise"]
    assert "**********" in reasons["odd"]
    commands: list[tuple[Any, ...]] = [
        ("destinations", "list", *at),
        ("destinations", "check", *at),
        *(("destinations", "test", *at, way) for way in ("retry", "ref")),
        ("deliveries", "list", *at),
        *(
            ("deliveries", "show", *at, one["id"])
            for one in deliveries
            if one["destination"] in ("odd", "ref", "retry")
        ),
        ("alerts", "list", *at),
        *(("alerts", "show", *at, alert["id"]) for alert in alerts),
        ("logs", *at, "one"),
        ("status", *at),
        ("plan", *following),
        ("validate", leaky.repository),
        ("plugins", "list"),
    ]
    for command in commands:
        done = trapline(*command, "--json")
        texts += [done.out, done.err]
    assert [found for text in texts for found in shown(text)] == []
    for file in leaky.home.rglob("*"):
        assert not (file.is_file() and shown(file.read_bytes().decode(errors="replace"))), file


def test_the_log_of_a_controller_shows_no_secret(leaky: Playground, server: FakeServer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = ["--home", leaky.home, "--repository", leaky.repository, "--sandbox", "process"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*TRAPLINE, "controller", *map(str, arguments)], stderr=file, stdout=file, env=environment()
        )
    try:
        wanted = ("RuntimeError: **********", "HTTPStatusError", "HTTP Request: POST", "warned of **********")
        eventually(lambda: all(words in log.read_text() for words in wanted), why=log.read_text)
    finally:
        process.terminate()
        process.wait()
    assert shown(log.read_text()) == []
    assert logging.getLevelName(logging.DEBUG) in log.read_text()
