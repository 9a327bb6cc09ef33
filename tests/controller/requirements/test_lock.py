"""Requirements: what is refused, and what a package index gives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.package_index import PackageIndex, only_index
from trapline.requirements.lock import LOCK_FILE, OUR_OWN, Requirements, RequirementsError, check, pins

PATH = "detections/d/requirements.txt"
PLATFORM = "x86_64-unknown-linux-gnu"
FETCH = f"""
import sys
from pathlib import Path
from trapline.requirements.lock import Requirements

print("ready", flush=True)
Requirements(Path(sys.argv[1]), python="3.11", platform={PLATFORM!r}).fetch(sys.argv[2], path={PATH!r})
"""


@pytest.fixture
def requirements(tmp_path: Path) -> Requirements:
    return Requirements(tmp_path / "requirements", python="3.11", platform=PLATFORM)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with only_index(tmp_path, monkeypatch) as index:
        yield index


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


def test_a_file_that_is_not_utf_8_names_the_line() -> None:
    with pytest.raises(RequirementsError, match=f"{PATH}:2: error: this is not UTF-8"):
        check(b"six\nidna  # caf\xe9\n".decode("utf-8", "replace"), path=PATH)


@pytest.mark.parametrize(
    "text",
    [
        "a \\\n" * 250_000,  # as one line
        "--" + "a" * 10**6,
        "a[" + "a" * 10**6,
        "a==1;" + "(" * 10**6,
        "a" * 10**6 + " @ file:///etc",
        "a" * 10**6,
    ],
)
def test_a_hostile_file_is_refused_at_once_and_in_few_words(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(RequirementsError) as caught:
        check(text, path=LOCK_FILE)
    assert caught.value.problem.line == 1
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - start < 60  # and not for ever


def test_lines_that_go_on() -> None:
    lock = "\\\nidna==3.10 \\\n  --hash=sha256:00 # \\\nsix==1.0 --hash=sha256:00 \\\n# why\n\nleaf==1\\"
    assert pins(lock) == {"idna==3.10", "six==1.0", "leaf==1"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("six>=1.16 --hash=sha256:00", "six is not pinned"),
        ("six==1.* --hash=sha256:00", "six is not pinned"),
        ("six==1.16,!=1.17 --hash=sha256:00", "six is not pinned"),
        ("six", "six is not pinned"),
        ("six==1.16.0", "six has no hash"),
        ("trapline-sandbox==9 --hash=sha256:00", "Trapline's own package"),
        ("--extra-index-url https://evil.example", "the option '--extra-index-url'"),
    ],
)
def test_a_lock_must_be_one(line: str, said: str) -> None:
    text = f"# by hand\nidna==3.10 \\\n    --hash=sha256:00\n{line}\n"
    path = f"detections/d/{LOCK_FILE}"
    with pytest.raises(RequirementsError) as caught:
        check(text, path=path)
    assert (caught.value.problem.path, caught.value.problem.line) == (path, 4)
    assert said in caught.value.problem.message
    check(text.replace(line, "six==1.16.0 ; python_version > '3' --hash=sha256:00"), path=path)


def test_a_lock_depends_on_text_python_platform_and_permission(tmp_path: Path) -> None:
    keys = {
        Requirements(tmp_path, python=python, platform=platform).lock_key(text, allow_source_builds=allowed)
        for python in ("3.11", "3.12")
        for platform in ("a", "b")
        for text in ("idna", "six")
        for allowed in (False, True)
    }
    assert len(keys) == 16


def test_an_empty_lock_needs_no_folder(requirements: Requirements) -> None:
    assert requirements.fetch("# nothing\n", path=PATH) is None


# With an index of our own


def test_locking_and_fetching(requirements: Requirements, index: PackageIndex, tmp_path: Path) -> None:
    index.wheel("leaf", "1.0")
    index.wheel("leaf", "2.0")
    lock = requirements.lock("leaf<2\n", path=PATH)
    assert "leaf==1.0" in lock
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    folder = requirements.fetch(lock, path=PATH)
    assert folder is not None
    assert (folder / "leaf.py").read_text() == "VERSION = '1.0'\n"
    asked = len(index.asked)
    assert requirements.fetch(lock, path=PATH) == folder
    assert len(index.asked) == asked
    assert [entry.name for entry in (tmp_path / "requirements").iterdir()] == [folder.name]


def test_a_lock_that_is_preferred_keeps_its_versions(requirements: Requirements, index: PackageIndex) -> None:
    index.wheel("leaf", "1.0")
    index.wheel("leaf", "2.0")
    kept = requirements.lock("leaf<2\n", path=PATH)
    assert pins(requirements.lock("leaf\n", path=PATH, prefer=kept)) == {"leaf==1.0"}
    assert pins(requirements.lock("leaf>1\n", path=PATH, prefer=kept)) == {"leaf==2.0"}
    assert pins(requirements.lock("leaf\n", path=PATH)) == {"leaf==2.0"}


def test_what_cannot_be_resolved_names_its_line(requirements: Requirements, index: PackageIndex) -> None:
    index.wheel("leaf", "1.0")
    index.wheel("other", "1.0")
    with pytest.raises(RequirementsError) as caught:
        requirements.lock("other\n\nleaf==9\n", path=PATH)
    assert caught.value.problem.line == 3
    assert "leaf==9" in caught.value.problem.message
    assert not caught.value.transient


def test_a_wrong_hash_is_not_installed_and_leaves_nothing(
    requirements: Requirements, index: PackageIndex, tmp_path: Path
) -> None:
    index.wheel("leaf", "1.0")
    with pytest.raises(RequirementsError, match="Hash mismatch") as caught:
        requirements.fetch(f"leaf==1.0 --hash=sha256:{'0' * 64}\n", path=f"detections/d/{LOCK_FILE}")
    assert caught.value.problem.line == 1
    assert not caught.value.transient
    assert list((tmp_path / "requirements").iterdir()) == []


def test_a_lock_for_other_platforms_only_installs_nothing(requirements: Requirements, index: PackageIndex) -> None:
    line = index.wheel("leaf", "1.0").replace(" --hash", " ; sys_platform == 'win32' --hash")
    folder = requirements.fetch(line, path=PATH)
    assert folder is not None
    assert not (folder / "leaf.py").exists()


# Our own names


def test_our_own_names_are_never_asked_for(requirements: Requirements, index: PackageIndex) -> None:
    for name in OUR_OWN:
        index.wheel(name, "9.0")  # as whoever wants into every sandbox would
    index.wheel("leaf", "1.0", requires=["trapline-sandbox>=1", "middle"])
    index.wheel("middle", "1.0", requires=["Trapline_Plugins", "trapline[extra]; python_version > '3'"])
    lock = requirements.lock("leaf\n", path=PATH)
    assert pins(lock) == {"leaf==1.0", "middle==1.0"}
    requirements.fetch(lock, path=PATH)
    assert index.asked
    assert not [path for path in index.asked if "trapline" in path]


def test_nor_to_build_a_package_from_source(requirements: Requirements, index: PackageIndex, tmp_path: Path) -> None:
    index.wheel("trapline-sandbox", "9.0")
    lock = index.sdist("leaf", "1.0", ran=tmp_path / "ran", build_requires=["trapline-sandbox"])
    with pytest.raises(RequirementsError, match="never-fetched"):
        requirements.fetch(lock, path=PATH, allow_source_builds=True)
    assert not [path for path in index.asked if "trapline" in path]


# Building from source


def test_nothing_is_built_from_source_unless_it_is_allowed(
    requirements: Requirements, index: PackageIndex, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    locked = index.sdist("leaf", "1.0", ran=ran)
    for refused in (
        lambda: requirements.lock("# first\nleaf\n", path=PATH),
        lambda: requirements.fetch(locked, path=PATH),
    ):
        with pytest.raises(RequirementsError, match=r"no wheel for Python 3\.11") as caught:
            refused()
        assert "allow_source_builds" in caught.value.problem.remedy
        assert not caught.value.transient
    assert not ran.exists()
    lock = requirements.lock("leaf\n", path=PATH, allow_source_builds=True)
    folder = requirements.fetch(lock, path=PATH, allow_source_builds=True)
    assert folder is not None
    assert (folder / "leaf.py").is_file()
    assert ran.exists()
    with pytest.raises(RequirementsError, match="no wheel"):  # what one detection had built is not another's
        requirements.fetch(lock, path=PATH)


def test_source_distributions_of_a_folder_of_links(
    requirements: Requirements, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sdist("leaf", "1.0", ran=tmp_path / "ran")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.folder))
    lock = requirements.lock("leaf\n", path=PATH, allow_source_builds=True)
    assert str(tmp_path) not in lock
    assert requirements.fetch(lock, path=PATH, allow_source_builds=True)
    assert index.asked == []


# Whose fault it is


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_index_that_fails_is_tried_again(requirements: Requirements, index: PackageIndex, status: int) -> None:
    locked = index.wheel("leaf", "1.0")
    index.status = status
    for failing in (
        lambda: requirements.lock("leaf\n", path=PATH),
        lambda: requirements.fetch(locked, path=PATH),
    ):
        with pytest.raises(RequirementsError, match="cannot be had at the moment") as caught:
            failing()
        assert caught.value.transient


def test_a_closed_port_is_tried_again(
    requirements: Requirements, index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:hidden@127.0.0.1:{_closed_port()}/simple")
    with pytest.raises(RequirementsError, match="cannot be had at the moment") as caught:
        requirements.lock("leaf\n", path=PATH)
    assert caught.value.transient
    assert "hidden" not in str(caught.value)


def test_a_disk_that_cannot_be_written_is_not_the_authors_fault(
    requirements: Requirements, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = index.wheel("leaf", "1.0")
    (tmp_path / "file").touch()
    with monkeypatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path / "file/cache"))
        with pytest.raises(RequirementsError, match="os error") as caught:
            requirements.lock("leaf\n", path=PATH)
    assert caught.value.transient
    nowhere = Requirements(tmp_path / "file/requirements", python="3.11", platform=PLATFORM)
    with pytest.raises(RequirementsError, match="Not a directory") as caught:
        nowhere.fetch(locked, path=PATH)
    assert caught.value.transient


def test_an_index_that_hangs_is_left_after_the_time_limit(index: PackageIndex, tmp_path: Path) -> None:
    index.pause = 30.0
    requirements = Requirements(tmp_path / "r", python="3.11", platform=PLATFORM, seconds=0.5)
    start = time.monotonic()
    with pytest.raises(RequirementsError, match=r"took longer than 0\.5 s") as caught:
        requirements.lock("leaf\n", path=PATH)
    assert caught.value.transient
    assert time.monotonic() - start < 20


def test_a_package_that_is_not_there_is_the_authors_fault(requirements: Requirements, index: PackageIndex) -> None:
    with pytest.raises(RequirementsError) as caught:
        requirements.lock("nonesuch\n", path=PATH)
    assert not caught.value.transient
    index.status = 403
    with pytest.raises(RequirementsError, match="credentials"):
        requirements.lock("another\n", path=PATH)


def test_a_version_that_only_a_later_index_has_is_said(
    requirements: Requirements, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("leaf", "1.0")
    second = PackageIndex(tmp_path / "second")
    try:
        second.wheel("leaf", "2.0")
        monkeypatch.setenv("UV_INDEX", second.url)
        assert pins(requirements.lock("leaf\n", path=PATH)) == {"leaf==2.0"}
        with pytest.raises(RequirementsError) as caught:
            requirements.lock("leaf<2\n", path=PATH)
    finally:
        second.close()
    assert "UV_INDEX_STRATEGY" in caught.value.problem.remedy


# What is kept


def test_what_no_lock_stands_for_is_collected_once_it_is_old(
    requirements: Requirements, index: PackageIndex, tmp_path: Path
) -> None:
    locks = [index.wheel(name, "1.0") for name in ("kept", "used", "old")]
    kept, used, _ = folders = [requirements.fetch(lock, path=PATH) for lock in locks]
    home = tmp_path / "requirements"
    left, young = home / ".fetching-left", home / ".fetching-young"
    for folder in (left, young):
        (folder / "packages").mkdir(parents=True)
    for folder in (*folders, left):
        assert folder
        _age(folder)
    requirements.fetch(locks[1], path=PATH)
    requirements.collect([locks[0]])
    assert set(home.iterdir()) == {kept, used, young}
    requirements.collect([], older_than=timedelta())
    assert list(home.iterdir()) == [young]
    Requirements(tmp_path / "none", python="3.11", platform=PLATFORM).collect([])


def test_a_killed_fetch_leaves_nothing_that_is_taken_for_whole(
    requirements: Requirements, index: PackageIndex, tmp_path: Path
) -> None:
    lock = "".join(index.wheel(f"leaf-{n}", "1.0") for n in range(20))
    home = tmp_path / "requirements"
    for moment in (0.01, 0.1, 0.2):
        with subprocess.Popen([sys.executable, "-c", FETCH, str(home), lock], stdout=subprocess.PIPE) as child:
            assert child.stdout
            child.stdout.readline()
            time.sleep(moment)
            child.kill()
        for folder in home.glob("[!.]*"):
            assert len(list(folder.glob("leaf_*.py"))) == 20
    folder = requirements.fetch(lock, path=PATH)
    assert folder is not None
    assert len(list(folder.glob("leaf_*.py"))) == 20


@pytest.mark.network
def test_the_index_of_this_machine(tmp_path: Path) -> None:
    requirements = Requirements(tmp_path / "requirements", python="3.11", platform=PLATFORM)
    lock = requirements.lock("six>=1.16,<2\n", path=PATH)
    assert "six==1." in lock
    assert "://" not in lock
    folder = requirements.fetch(lock, path=PATH)
    assert folder is not None
    assert (folder / "six.py").is_file()


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _age(folder: Path) -> None:
    past = time.time() - timedelta(days=8).total_seconds()
    os.utime(folder, (past, past))
