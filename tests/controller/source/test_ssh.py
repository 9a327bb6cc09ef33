"""A repository over ssh: a real sshd with its own host key."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trapline.source.access import Access
from trapline.source.git import Mirror
from trapline.source.tree import SourceError

if TYPE_CHECKING:
    from .conftest import Origin


def make_key(file: Path, *, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", file.name, "-f", str(file)]
    subprocess.run(command, check=True)
    return file


@dataclass(frozen=True)
class Host:
    """An sshd that lets one key in."""

    folder: Path
    port: int

    def url(self, origin: Origin) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{origin.path}"

    @property
    def key(self) -> Path:
        return self.folder / "user key"

    def known(self, host_key: str) -> Path:
        """A known-hosts file in which this host has a key."""
        kind, key, *_ = (self.folder / f"{host_key}.pub").read_text().split()
        file = self.folder / f"known hosts {host_key}"
        file.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        return file


@pytest.fixture(scope="module")
def host(sshd_program: str, ssh_keygen_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "another host", "user key", "another user"):
        make_key(folder / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "authorized").write_text((folder / "user key.pub").read_text())
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\n"
        f"HostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/authorized\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # the empty directory that sshd shuts its unprivileged half into
    with (folder / "log").open("wb") as log:
        sshd = subprocess.Popen([sshd_program, "-D", "-e", "-f", str(folder / "config")], stdout=log, stderr=log)
    try:
        _wait_until_it_listens(sshd, port, folder / "log")
        yield Host(folder, port)
    finally:
        sshd.terminate()
        sshd.wait(10)


def _wait_until_it_listens(sshd: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(200):
        assert sshd.poll() is None, log.read_text()
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(log.read_text())


def refusal(mirror: Mirror) -> str:
    with pytest.raises(SourceError) as caught:
        mirror.fetch()
    assert caught.value.code == "no-access"
    return str(caught.value)


def test_the_right_key_at_a_known_host(origin: Origin, host: Host, tmp_path: Path) -> None:
    mirror = Mirror(host.url(origin), tmp_path / "m", access=Access(ssh_key=host.key, known_hosts=host.known("host")))
    for text in ("1", "2"):
        commit = origin.commit(a=text)
        assert mirror.fetch() == commit
    assert mirror.read(commit).files["a"].content == b"2"


def test_the_short_form_of_the_address(
    origin: Origin, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`user@host:path` has no port in it; a test's host has one that is its own."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.ssh://{getpass.getuser()}@127.0.0.1:{host.port}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "git@example.org:")
    commit = origin.commit(a="1")
    access = Access(ssh_key=host.key, known_hosts=host.known("host"))
    assert Mirror(f"git@example.org:{origin.path}", tmp_path / "m", access=access).fetch() == commit


def test_a_key_that_is_refused(origin: Origin, host: Host, tmp_path: Path) -> None:
    access = Access(ssh_key=host.folder / "another user", known_hosts=host.known("host"))
    said = refusal(Mirror(host.url(origin), tmp_path / "m", access=access))
    assert "accepts no ssh key of ours" in said
    assert "--ssh-key" in said


def test_a_host_that_is_not_known(origin: Origin, host: Host, tmp_path: Path) -> None:
    empty = tmp_path / "known"
    empty.touch()
    said = refusal(Mirror(host.url(origin), tmp_path / "m", access=Access(ssh_key=host.key, known_hosts=empty)))
    assert "is not among the known hosts" in said
    assert "--known-hosts" in said
    assert empty.read_bytes() == b""


def test_a_host_whose_key_changed(origin: Origin, host: Host, tmp_path: Path) -> None:
    access = Access(ssh_key=host.key, known_hosts=host.known("another host"))
    said = refusal(Mirror(host.url(origin), tmp_path / "m", access=access))
    assert "is not the one that is known" in said
    assert "find out from its operator" in said


def test_a_key_that_others_can_read(origin: Origin, host: Host, tmp_path: Path) -> None:
    open_key = tmp_path / "open"
    open_key.write_bytes(host.key.read_bytes())
    open_key.chmod(0o644)
    access = Access(ssh_key=open_key, known_hosts=host.known("host"))
    assert "chmod 600" in refusal(Mirror(host.url(origin), tmp_path / "m", access=access))


@pytest.mark.parametrize("what", ["passphrase", "no key"])
def test_a_key_that_ssh_cannot_use(origin: Origin, host: Host, tmp_path: Path, what: str) -> None:
    key = tmp_path / "key"
    if what == "passphrase":
        make_key(key, passphrase="secret words")
    else:
        key.write_text("no key\n")
    key.chmod(0o600)
    said = refusal(Mirror(host.url(origin), tmp_path / "m", access=Access(ssh_key=key, known_hosts=host.known("host"))))
    assert "--ssh-key" in said


def test_no_repository_there(origin: Origin, host: Host, tmp_path: Path) -> None:
    access = Access(ssh_key=host.key, known_hosts=host.known("host"))
    with pytest.raises(SourceError, match="there is no git repository at") as caught:
        Mirror(f"{host.url(origin)}-not", tmp_path / "m", access=access).fetch()
    assert caught.value.code == "not-a-repository"
