"""The ground that attacks are made on, and the backends that must hold."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from tests.controller.workers.conftest import (  # noqa: F401  fixtures
    backend,
    bubblewrap_backend,
    docker_backend,
    process_backend,
)
from tests.sandbox.attacks.ground import Ground, planted
from trapline.workers.backends.docker import connect
from trapline.workers.interface import BackendUnavailable


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    with planted(["127.0.0.1", *_bridge()]) as ground:
        yield ground


def _bridge() -> list[str]:
    """The machine's address on the bridge of its Docker engine, where there is one."""
    try:
        client = connect()
    except BackendUnavailable:
        return []
    try:
        network = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
        # An engine that has just been set up does not say it, and takes the first address.
        return [network.get("Gateway") or str(next(ip_network(network["Subnet"]).hosts()))]
    finally:
        client.close()
