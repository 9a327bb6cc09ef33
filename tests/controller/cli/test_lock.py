"""`trapline lock`: the lock it writes, and the locks it finds out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.package_index import PackageIndex, only_index
from tests.playground import Playground
from trapline.cli.lock import lock
from trapline.errors import TraplineError
from trapline.requirements.lock import check

LOCK = "detections/signins/requirements.lock"
Run = Callable[..., Result]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """The only index there is, with two versions of `leaf`."""
    with only_index(tmp_path, monkeypatch) as index:
        index.wheel("leaf", "1.0")
        index.wheel("leaf", "2.0")
        yield index


@pytest.fixture
def playground(tmp_path: Path) -> Playground:
    """A checkout whose detection `signins` requires an old `leaf`."""
    playground = Playground(tmp_path)
    playground.detection("signins", id="d-1")
    playground.write("detections/signins/requirements.txt", "leaf<2\n")
    return playground


@pytest.fixture
def run(playground: Playground, index: PackageIndex) -> Run:
    def run(name: str = "signins", *arguments: str, fine: bool = True) -> Result:
        options = ("--repository-folder", str(playground.repository), "--sandbox", "process")
        result = CliRunner().invoke(lock, [name, *options, *arguments])
        assert not fine or result.exit_code == 0, result.output
        return result

    return run


@pytest.mark.parametrize("name", ["signins", "d-1", "detections/signins", "detections/signins/"])
def test_a_lock_is_written_beside_the_requirements(
    run: Run, playground: Playground, index: PackageIndex, name: str
) -> None:
    assert "1 locked" in run(name).output
    text = (playground.repository / LOCK).read_text()
    check(text, path=LOCK)
    header, first, *_ = text.splitlines()
    assert header.startswith("# Written by `trapline lock signins` for Python 3.")
    assert first == "leaf==1.0 \\"
    assert not [secret for secret in ("127.0.0.1", index.url, str(playground.repository), "/tmp") if secret in text]
    assert sorted(path.name for path in (playground.repository / LOCK).parent.iterdir()) == [
        "detect.py",
        "detection.yml",
        "requirements.lock",
        "requirements.txt",
    ]


def test_versions_are_kept_until_they_are_asked_to_move(run: Run, playground: Playground) -> None:
    run()
    before = (playground.repository / LOCK).read_text()
    playground.write("detections/signins/requirements.txt", "leaf\n")
    run()
    assert (playground.repository / LOCK).read_text() == before
    run("signins", "--check")
    run("signins", "--upgrade")
    assert "leaf==2.0" in (playground.repository / LOCK).read_text()


def test_check_writes_nothing_and_says_what_differs(run: Run, playground: Playground, index: PackageIndex) -> None:
    missing = run("signins", "--check", fine=False)
    assert missing.exit_code == 1
    assert not (playground.repository / LOCK).exists()
    run()
    assert run("signins", "--check").exit_code == 0
    index.wheel("other", "1.0")
    playground.write("detections/signins/requirements.txt", "leaf>=2\nother\n")
    before = (playground.repository / LOCK).read_text()
    assert run("signins", "--check", fine=False).exit_code == 1
    assert (playground.repository / LOCK).read_text() == before


def test_a_lock_that_is_none_fails_the_check_and_is_written_anew(run: Run, playground: Playground) -> None:
    playground.write(LOCK, "leaf==1.0\n")
    result = run("signins", "--check", fine=False)
    assert isinstance(result.exception, TraplineError)
    assert f"{LOCK}:1: error: leaf has no hash" in str(result.exception)
    run()
    check((playground.repository / LOCK).read_text(), path=LOCK)


def test_what_cannot_be_locked_is_said(run: Run, playground: Playground) -> None:
    playground.detection("plain")
    for name, said in (("nonesuch", "no detection 'nonesuch'"), ("plain", r"has no requirements\.txt")):
        result = run(name, fine=False)
        assert isinstance(result.exception, TraplineError)
        with pytest.raises(TraplineError, match=said):
            raise result.exception
