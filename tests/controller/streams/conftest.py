"""AWS for the streams' tests: moto's server on a socket of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

REGION = "eu-west-1"


@dataclass(frozen=True)
class Aws:
    url: str

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=self.url)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    if server._server:
        server._server.server_close()  # moto leaves the socket open


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def aws(moto: str, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Empty, and what the environment means by AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    yield Aws(moto)
    httpx.post(f"{moto}/moto-api/reset", trust_env=False).raise_for_status()


@pytest.fixture
def queue(aws: Aws) -> str:
    """The URL of a queue."""
    return str(aws.client("sqs").create_queue(QueueName="landed")["QueueUrl"])
