"""Attacks that come before any code runs: in a repository's tree, in a wheel, in an archive.

What git and uv give is tested with them; here is what must not become of it.
"""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.package_index import PackageIndex, only_index
from tests.playground import MATCH_BAD, Playground
from trapline.requirements.lock import Requirements, RequirementsError
from trapline.state.schema import matches
from trapline.workers.backends import layout
from trapline.workers.interface import Build, BuildDigest

PATH = "detections/evil/requirements.txt"
INFO = "evil-1.0.dist-info"
SECRET = "planted: nobody in a sandbox may read this"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "outside" / "secret"
    file.parent.mkdir()
    file.write_text(SECRET)
    return file


# In the repository


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("detections/evil/detect.py", "../../../outside/secret"),
        ("detections/evil/helper.py", "../../../outside/secret"),
        ("detections/evil/requirements.txt", "../../../outside/secret"),
        ("detections/evil/detection.yml", "/etc/passwd"),
        ("detections/evil/data", "../../../outside"),
        ("detections/evil/loop", "."),
        ("detections/evil/code_of_another.py", "../honest/detect.py"),
        ("detections/linked", "../../outside"),
    ],
)
def test_a_link_in_the_repository_leads_nowhere(tmp_path: Path, secret: Path, link: str, leads_to: str) -> None:
    playground = Playground(tmp_path)
    playground.detection("honest")
    playground.detection("evil", f"{MATCH_BAD}  # evil\n")
    path = playground.repository / link
    path.unlink(missing_ok=True)
    path.symlink_to(leads_to)
    playground.commit()
    playground.records(1)
    with playground.controller() as controller:
        report = controller.reconcile()
        playground.at(5)
        assert controller.tick().errors == {}
    said = {outcome.name: outcome for outcome in report.outcomes}
    assert said["honest"].action == "deployed"
    if link.startswith("detections/evil/"):
        assert "symbolic link" in str([*report.problems, *report.outcomes])
        assert "evil" not in said or said["evil"].action != "deployed"
    assert {row["identity"] for row in playground.rows(matches)} <= {"honest", "evil"}
    assert SECRET not in _all_text(playground.home / "builds")


# In a package


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with only_index(tmp_path, monkeypatch) as index:
        yield index


@pytest.fixture
def requirements(tmp_path: Path) -> Requirements:
    return Requirements(tmp_path / "requirements", python="3.11", platform="x86_64-unknown-linux-gnu")


Member = tuple[str | zipfile.ZipInfo, str]


def _link(name: str, to: Path | str) -> Member:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, str(to)


HOSTILE: dict[str, Callable[[Path], list[Member]]] = {
    "climbs": lambda out: [("../../../../escaped.py", "ESCAPED"), ("../escaped.py", "ESCAPED")],
    "climbs-inside": lambda out: [("evil/../../../../escaped.py", "ESCAPED")],
    "absolute": lambda out: [(f"{out}/escaped.py", "ESCAPED")],
    "backslashes": lambda out: [("..\\..\\..\\escaped.py", "ESCAPED")],
    "data-climbs": lambda out: [("evil-1.0.data/data/../../../escaped.py", "ESCAPED")],
    "scripts-climb": lambda out: [("evil-1.0.data/scripts/../../../escaped.py", "#!python\nESCAPED")],
    "link-to-file": lambda out: [_link("evil/secret.py", out / "secret")],
    "link-to-folder": lambda out: [_link("evil/folder", out), ("evil/folder/escaped.py", "ESCAPED")],
    "link-up": lambda out: [_link("evil/up", "../../../../outside"), ("evil/up/escaped.py", "ESCAPED")],
    "record-climbs": lambda out: [(f"{INFO}/RECORD", "../../outside/secret,,\n")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_a_wheel_cannot_leave_its_folder(
    tmp_path: Path,
    secret: Path,
    requirements: Requirements,
    index: PackageIndex,
    members: Callable[[Path], list[Member]],
) -> None:
    with zipfile.ZipFile(index.folder / "evil-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in [*members(secret.parent), *_metadata()]:
            if isinstance(name, zipfile.ZipInfo) or name not in wheel.namelist():
                wheel.writestr(name, text)
    before = _outside(tmp_path)
    folder = _fetched(requirements, "evil==1.0\n")
    assert _outside(tmp_path) == before
    assert secret.read_text() == SECRET
    assert SECRET not in _built(folder)


@pytest.mark.parametrize("kind", ["climbs", "absolute", "link", "hard-link", "device"])
def test_an_archive_of_sources_is_not_even_unpacked(
    tmp_path: Path, secret: Path, requirements: Requirements, index: PackageIndex, kind: str
) -> None:
    with tarfile.open(index.folder / "evil-1.0.tar.gz", "w:gz") as tar:
        _add(tar, "evil-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
        _add_hostile(tar, kind, secret)
    before = _outside(tmp_path)
    with pytest.raises(RequirementsError):
        requirements.lock("evil==1.0\n", path=PATH)
    assert _outside(tmp_path) == before


def test_nothing_that_was_installed_runs_on_the_controller(
    tmp_path: Path, requirements: Requirements, index: PackageIndex
) -> None:
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\n"
    with zipfile.ZipFile(index.folder / "evil-1.0-py3-none-any.whl", "w") as wheel:
        names = ("evil.py", "evil.pth", "sitecustomize.py", "setup.py", "conftest.py", "evil-1.0.data/scripts/evil")
        for name, text in [*((name, f"import os; {code}") for name in names), *_metadata()]:
            wheel.writestr(name, text)
    assert "evil" in _built(_fetched(requirements, "evil==1.0\n"))
    assert not ran.exists()


def _metadata() -> list[Member]:
    return [
        (f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"),
        (f"{INFO}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (f"{INFO}/RECORD", ""),
    ]


def _fetched(requirements: Requirements, text: str) -> Path | None:
    """What comes of it; to refuse it is as good."""
    try:
        return requirements.fetch(requirements.lock(text, path=PATH), path=PATH)
    except RequirementsError:
        return None


def _built(folder: Path | None) -> str:
    """All that a build would take from a folder of installed packages."""
    build = Build(BuildDigest("1" * 40), "evil", {}, folder)
    return "\n".join(f"{entry.path} {entry.read().decode('utf-8', 'replace')}" for entry in layout.requirements(build))


def _outside(root: Path) -> set[str]:
    """Every path that is not in a folder where packages belong."""
    belong = {"requirements", "cache", "index"}
    return {str(path) for path in root.rglob("*") if path.relative_to(root).parts[0] not in belong} | {
        str(path) for path in root.parent.glob("*escaped*")
    }


def _add(tar: tarfile.TarFile, name: str, text: str = "", **kind: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    for attribute, value in kind.items():
        setattr(info, attribute, value)
    tar.addfile(info, io.BytesIO(text.encode()))


def _add_hostile(tar: tarfile.TarFile, kind: str, secret: Path) -> None:
    match kind:
        case "climbs":
            _add(tar, "evil-1.0/../../../escaped.py", "ESCAPED")
        case "absolute":
            _add(tar, f"{secret.parent}/escaped.py", "ESCAPED")
        case "link":
            _add(tar, "evil-1.0/folder", type=tarfile.SYMTYPE, linkname=str(secret.parent))
            _add(tar, "evil-1.0/folder/escaped.py", "ESCAPED")
        case "hard-link":
            _add(tar, "evil-1.0/secret.py", type=tarfile.LNKTYPE, linkname=str(secret))
        case "device":
            _add(tar, "evil-1.0/disk", type=tarfile.BLKTYPE)


def _all_text(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())
