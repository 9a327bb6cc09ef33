"""What a process says beside its answer has no secret in it, even where it crashes."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import httpx
import pytest

from trapline.cli.diagnostics import WITH_TIMES, Line
from trapline.config.redact import hide_known_secrets
from trapline.config.secrets import resolve_secrets
from trapline_plugins.fake_server import Answer, serving

CRASH = """
import logging, sys, threading, warnings
from trapline.cli import diagnostics
from trapline.config.secrets import resolve_secrets

diagnostics.set_up()
token = resolve_secrets({"token": "${env:TOKEN}"}, {"TOKEN": "hunter2-%s"})["token"]
logging.getLogger("other").warning("with %%s", token)
warnings.warn(f"warned of {token}")
thread = threading.Thread(target=lambda: int(token))
thread.start()
thread.join()
try:
    int(token)
except ValueError as error:
    raise RuntimeError(f"crashed with {token!r} and {str(token)}") from error
"""


def test_a_crash_shows_its_traceback_and_no_secret() -> None:
    done = subprocess.run([sys.executable, "-c", CRASH % "\\x1b[2J"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "hunter2" not in done.stdout + done.stderr
    assert "\x1b" not in done.stderr
    for said in (
        "with **********",
        "warned of **********",
        "RuntimeError: crashed with",
        "ValueError: invalid literal",
    ):
        assert said in done.stderr
    assert done.stderr.count("Traceback") == 3  # of the thread, and of two exceptions


@pytest.mark.parametrize("secret", ["T00/B00/s3cret-path", "s3cret?key=a b&c", "s3cret\"quoted'\\", "s3crét"])
def test_the_http_client_logs_no_secret_address(secret: str) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Line(WITH_TIMES))
    loggers = [logging.getLogger(name) for name in ("httpx", "httpcore")]
    levels = [logger.level for logger in loggers]
    with serving(lambda _: Answer(404)) as server, httpx.Client(trust_env=False) as http:
        url = resolve_secrets({"url": "${env:URL}"}, {"URL": f"{server.url}hooks/{secret}"})["url"]
        try:
            for logger in loggers:
                logger.addHandler(handler)
                logger.setLevel(logging.DEBUG)
            response = http.post(url, headers={"Authorization": f"Bearer {secret.encode().hex()}"})
            with pytest.raises(httpx.HTTPStatusError) as caught:
                response.raise_for_status()
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.removeHandler(handler)
                logger.setLevel(level)
    assert "HTTP Request: POST" in written.getvalue()
    assert "s3cr" not in written.getvalue()
    assert "s3cr" not in hide_known_secrets(str(caught.value))
