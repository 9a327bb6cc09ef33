"""Which backend is used, and what the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trapline.errors import TraplineError
from trapline.workers.choose import choose, why_not_stronger
from trapline.workers.interface import Backend, BackendUnavailable


class Choose:
    """Chooses, and closes what was chosen."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._chosen: list[Backend] = []

    def __call__(self, backend: str, base_image: str | None = None, runtime: str | None = None) -> tuple[Backend, str]:
        chosen, why = choose(
            backend, home=self._home / "builds", base_image=base_image, scope="test-choose", runtime=runtime
        )
        self._chosen.append(chosen)
        return chosen, why

    def close(self) -> None:
        for backend in self._chosen:
            backend.close()


@pytest.fixture
def chosen(tmp_path: Path) -> Iterator[Choose]:
    choose = Choose(tmp_path)
    yield choose
    choose.close()
    assert list((tmp_path / "run").glob("*")) == []


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")


@pytest.fixture
def no_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize("name", ["process", pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)])
def test_what_was_asked_for(chosen: Choose, name: str, request: pytest.FixtureRequest) -> None:
    if name == "bubblewrap":
        request.getfixturevalue("bubblewrap")
    backend, why = chosen(name)
    assert backend.name == name
    assert why == backend.describe()


@pytest.mark.bubblewrap
@pytest.mark.usefixtures("no_engine", "bubblewrap")
def test_auto_takes_bubblewrap_where_no_engine_answers(chosen: Choose) -> None:
    backend, why = chosen("auto")
    assert backend.name == "bubblewrap"
    assert why.startswith(backend.describe() + "; chosen because no Docker engine answers")
    assert why_not_stronger(why).startswith("no Docker engine answers")


@pytest.mark.usefixtures("no_engine", "no_bubblewrap")
def test_auto_takes_processes_at_last_and_says_why(chosen: Choose) -> None:
    backend, why = chosen("auto")
    assert backend.name == "process"
    assert "NO security boundary" in why
    assert "chosen because no Docker engine answers" in why
    assert why.endswith(", and bubblewrap is not installed")


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize(("backend", "runtime"), [("docker", None), ("auto", "runsc")])
def test_docker_when_asked_for_never_falls_back(chosen: Choose, backend: str, runtime: str | None) -> None:
    with pytest.raises(BackendUnavailable, match="no Docker engine answers") as raised:
        chosen(backend, runtime=runtime)
    assert "bubblewrap backend" in raised.value.remedy


@pytest.mark.usefixtures("no_bubblewrap")
def test_bubblewrap_when_asked_for_never_falls_back(chosen: Choose) -> None:
    with pytest.raises(BackendUnavailable, match="bubblewrap is not installed") as raised:
        chosen("bubblewrap")
    assert raised.value.remedy == "apt-get install bubblewrap"


@pytest.mark.docker
def test_auto_takes_docker_where_it_works(chosen: Choose, docker_base_image: str) -> None:
    backend, why = chosen("auto", docker_base_image)
    assert backend.name == "docker"
    assert docker_base_image in why
    assert why_not_stronger(why) == ""


def test_an_unknown_backend_is_named(chosen: Choose, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(TraplineError, match="no backend 'podman'") as raised:
        chosen("podman")
    assert raised.value.remedy == "use one of auto, docker, bubblewrap, process"
