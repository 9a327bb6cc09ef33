"""Which backend is used, and what the user is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapline.errors import TraplineError
from trapline.workers.choose import choose
from trapline.workers.interface import BackendUnavailable


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")


def test_processes_when_asked_for(tmp_path: Path) -> None:
    backend, why = choose("process", home=tmp_path, base_image=None, scope="test")
    assert backend.name == "process"
    assert why == backend.describe()


@pytest.mark.usefixtures("no_engine")
def test_auto_falls_back_and_says_why(tmp_path: Path) -> None:
    backend, why = choose("auto", home=tmp_path, base_image=None, scope="test")
    assert backend.name == "process"
    assert "NO security boundary" in why
    assert "chosen because no Docker engine answers" in why


@pytest.mark.usefixtures("no_engine")
def test_docker_when_asked_for_never_falls_back(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match="no Docker engine answers") as raised:
        choose("docker", home=tmp_path, base_image=None, scope="test")
    assert "process backend" in raised.value.remedy


@pytest.mark.docker
def test_auto_takes_docker_where_it_works(tmp_path: Path, docker_base_image: str) -> None:
    backend, why = choose("auto", home=tmp_path, base_image=docker_base_image, scope="test-choose")
    assert backend.name == "docker"
    assert docker_base_image in why


def test_an_unknown_backend_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraplineError, match="no backend 'podman'") as raised:
        choose("podman", home=tmp_path, base_image=None, scope="test")
    assert raised.value.remedy == "use one of auto, docker, process"
