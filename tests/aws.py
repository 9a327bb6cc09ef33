"""AWS for tests: moto's server on a socket of this machine, and credentials that are good nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto.core.base_backend import BackendDict
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

REGION = "eu-west-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATEST",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_DEFAULT_REGION": REGION,
}
_MISLEADING = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION")


@dataclass
class Aws:
    """What it holds outlasts a `stop`."""

    port: int = 0
    _server: Any = field(default=None)

    def start(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()
        if self._server._server:
            self._server._server.server_close()  # moto leaves the socket open

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION, endpoint_url=self.url)


@contextmanager
def serving_aws() -> Iterator[Aws]:
    """An AWS that is empty in the end."""
    aws = Aws()
    aws.start()
    try:
        yield aws
    finally:
        aws.stop()
        BackendDict.reset()


def give_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has credentials, and nothing of the machine's own."""
    for name in _MISLEADING:
        monkeypatch.delenv(name, raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
