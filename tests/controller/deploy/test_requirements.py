"""Requirements: what is refused, and what a package index gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from trapline.deploy.requirements import Requirements, RequirementsError, check

PATH = "detections/d/requirements.txt"


@pytest.fixture
def requirements(tmp_path: Path) -> Requirements:
    return Requirements(tmp_path / "requirements", python="3.11", platform="x86_64-unknown-linux-gnu")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r /etc/passwd", "the option '-r'"),
        ("--index-url=https://evil.example/simple", "the option '--index-url"),
        ("-e .", "the option '-e'"),
        ("./local", "is not a requirement"),
        ("six==", "is not a requirement"),
        ("six @ file:///etc", "by an address"),
        ("six @ git+https://example.com/six", "by an address"),
        ("trapline_sandbox==9", "Trapline's own package"),
        ("Trapline", "Trapline's own package"),
    ],
)
def test_more_than_packages_is_refused_with_file_and_line(line: str, said: str) -> None:
    with pytest.raises(RequirementsError) as caught:
        check(f"# a comment\n\nidna==3.10 \\\n    --hash=sha256:00\n{line}  # why\n", path=PATH)
    assert (caught.value.problem.path, caught.value.problem.line) == (PATH, 5)
    assert said in caught.value.problem.message
    assert caught.value.problem.remedy


def test_packages_with_extras_markers_and_hashes_are_taken() -> None:
    check("httpx[http2]>=0.27 ; python_version > '3.8'\nidna==3.10 --hash=sha256:00 --hash=sha256:01\n", path=PATH)


def test_a_lock_depends_on_text_python_and_platform(tmp_path: Path) -> None:
    keys = {
        Requirements(tmp_path, python=python, platform=platform).lock_key(text)
        for python in ("3.11", "3.12")
        for platform in ("a", "b")
        for text in ("idna", "six")
    }
    assert len(keys) == 8


def test_an_empty_lock_needs_no_folder(requirements: Requirements) -> None:
    assert requirements.fetch("# nothing\n", path=PATH) is None


@pytest.mark.network
def test_locking_and_fetching(requirements: Requirements, tmp_path: Path) -> None:
    lock = requirements.lock("six>=1.16,<2\n", path=PATH)
    assert "six==1." in lock
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    folder = requirements.fetch(lock, path=PATH)
    assert folder is not None
    assert (folder / "six.py").is_file()
    assert requirements.fetch(lock, path=PATH) == folder
    assert [entry.name for entry in (tmp_path / "requirements").iterdir()] == [folder.name]


@pytest.mark.network
def test_what_cannot_be_resolved_names_its_line(requirements: Requirements) -> None:
    with pytest.raises(RequirementsError) as caught:
        requirements.lock("six\n\nidna==0.0.999\n", path=PATH)
    assert caught.value.problem.line == 3
    assert "idna==0.0.999" in caught.value.problem.message


@pytest.mark.network
def test_a_wrong_hash_is_not_installed_and_leaves_nothing(requirements: Requirements, tmp_path: Path) -> None:
    with pytest.raises(RequirementsError, match=r"[Hh]ash"):
        requirements.fetch(f"six==1.16.0 --hash=sha256:{'0' * 64}\n", path=PATH)
    assert list((tmp_path / "requirements").iterdir()) == []
