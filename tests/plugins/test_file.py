"""The file destination: the contract, and what is on the disk when something goes wrong."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from trapline_plugins.api import Delivered, Kind, Retry, Tools, Unknown
from trapline_plugins.contract import DestinationContract
from trapline_plugins.file import MAX_BYTES, File, FileConfig
from trapline_plugins.samples import NOTIFICATIONS, a_notification


def file(path: Path) -> File:
    return File("file", FileConfig(path=path), Tools(httpx.Client(trust_env=False), pytest.fail, pytest.fail))


def send(path: Path, **changes: Any) -> object:
    notification = a_notification(**changes)
    return file(path).send(notification, file(path).render(notification), "")


def delivery_ids(path: Path) -> list[str]:
    return [json.loads(line)["data"]["delivery_id"] for line in path.read_text().split("\n")[:-1]]


class TestFileContract(DestinationContract):
    def make(self, tools: Tools, url: str) -> File:
        return File("file", FileConfig(path=Path("/nowhere/alerts.jsonl")), tools)

    def assert_within_limits(self, rendered: str) -> None:
        assert len(rendered.encode()) <= MAX_BYTES
        assert "\n" not in rendered
        json.loads(rendered)


def test_each_notification_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    for notification in NOTIFICATIONS.values():
        assert file(path).send(notification, file(path).render(notification), "") == Delivered()

    lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    assert len(lines) == len(NOTIFICATIONS)
    assert (lines[0]["type"], lines[0]["data"]["title"]) == ("alert.opened", "Brute force from 203.0.113.9")
    assert path.stat().st_mode & 0o007 == 0, "others can read the alerts"


def test_a_file_may_be_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    send(path, delivery_id="one")
    path.rename(tmp_path / "alerts.jsonl.1")
    send(path, delivery_id="two")
    assert delivery_ids(path) == ["two"]


def test_many_may_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    text = "x" * 100_000  # more than one write would take in a pipe

    def append(name: str) -> None:
        for number in range(5):
            send(path, delivery_id=f"{name}{number}", description=text)

    threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(delivery_ids(path)) == sorted(f"{name}{number}" for name in "abcd" for number in range(5))


def test_one_waits_for_another(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    thread = threading.Thread(target=send, args=(path,))
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        thread.start()
        thread.join(0.1)
        assert path.read_bytes() == b""
    thread.join()
    assert len(delivery_ids(path)) == 1


def test_what_a_crash_left_of_a_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('{"type":"alert.op')
    assert send(path, delivery_id="two") == Delivered()
    left, line, end = path.read_text().split("\n")
    assert (left, json.loads(line)["data"]["delivery_id"], end) == ('{"type":"alert.op', "two", "")


def test_a_full_disk_is_tried_again_and_leaves_no_half_line(tmp_path: Path) -> None:
    """The disk is as full as the system can be told: the process may not let a file grow above 2,000 bytes."""
    path = tmp_path / "alerts.jsonl"
    send(path, delivery_id="one")
    before = path.read_bytes()
    code = """if True:
        import resource, signal, sys
        from pathlib import Path
        from tests.plugins.test_file import send
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
        print(send(Path(sys.argv[1]), delivery_id="two"))
    """
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert 1_000 < len(before) < 2_000
    assert done.stdout == "Retry(reason='the file cannot be written: File too large', after=None)\n"
    assert path.read_bytes() == before


def test_what_is_not_on_the_disk_is_not_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    send(path, delivery_id="one")

    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        assert send(path, delivery_id="two") == Retry("the file cannot be written: Input/output error")
    assert delivery_ids(path) == ["one"]


def test_a_line_is_on_the_disk_before_it_is_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, int]] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), os.fstat(descriptor).st_size))
        fsync(descriptor)

    path = tmp_path / "alerts.jsonl"
    monkeypatch.setattr(os, "fsync", noting)
    send(path)
    assert synced[0] == (str(path), path.stat().st_size)
    assert [name for name, _ in synced] == [str(path), str(tmp_path)], "a new file's name is on the disk too"


def test_a_missing_folder_is_tried_again(tmp_path: Path) -> None:
    assert send(tmp_path / "no" / "x") == Retry("the file cannot be written: No such file or directory")


def test_a_line_is_found_by_its_delivery(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    send(path, delivery_id="one")
    send(path, delivery_id="two", kind=Kind.UPDATED, title='"delivery_id":"faked"')
    path.write_bytes(path.read_bytes() + b'[]\n"cut\nnot json: cut\n{"data": "cut"}\n')

    def found(delivery_id: str) -> object:
        return file(path).find(a_notification(delivery_id=delivery_id))

    assert found("one") == found("two") == Delivered()
    assert found("three") is found("faked") is found("cut") is None
    assert file(tmp_path / "missing").find(a_notification()) is None


def test_an_ocsf_finding_is_found_too(tmp_path: Path) -> None:
    config = FileConfig(path=tmp_path / "alerts.jsonl", payload="ocsf")
    ocsf = File("file", config, Tools(httpx.Client(trust_env=False), pytest.fail, pytest.fail))
    assert ocsf.send(a_notification(), ocsf.render(a_notification()), "") == Delivered()
    assert json.loads(config.path.read_text())["class_uid"] == 2004
    assert ocsf.find(a_notification()) == Delivered()
    assert ocsf.find(a_notification(delivery_id="another")) is None


def test_what_cannot_be_looked_up_now_is_not_written_twice(tmp_path: Path) -> None:
    """A folder in the file's place is what no right of root's can read."""
    assert file(tmp_path).find(a_notification()) == Unknown("the file cannot be read: Is a directory")


def test_check_says_what_is_wrong_and_makes_nothing(tmp_path: Path) -> None:
    assert file(tmp_path / "new").check() is None
    assert file(tmp_path / "no" / "new").check() == f"the folder {tmp_path}/no is not there"
    assert file(tmp_path).check() == f"{tmp_path} is no regular file"
    assert list(tmp_path.iterdir()) == []


def test_check_sees_missing_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # who runs tests as root may write anywhere
    assert file(tmp_path / "new").check() == f"{tmp_path}/new cannot be written by the user whom Trapline runs as"


@pytest.mark.parametrize("path", ["alerts.jsonl", "~/alerts.jsonl", "", "/a\0b"])
def test_a_path_that_depends_on_who_asks_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="this is not an absolute path"):
        FileConfig.model_validate({"path": path})
