"""Commit verification, with commits that are really signed and really forged."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from trapline.source.git import Mirror
from trapline.source.tree import SourceError
from trapline.source.verify import Trust

if TYPE_CHECKING:
    from .conftest import Origin

_LONG_AGO = "20200601T000000"


@dataclass(frozen=True)
class Keys:
    """Keys of both kinds in one folder, named by what is the matter with them."""

    folder: Path

    def sign_with_ssh(self, name: str) -> tuple[str, ...]:
        return "-c", "gpg.format=ssh", "-c", f"user.signingkey={self.folder / name}"

    def sign_with_gpg(self, name: str) -> tuple[str, ...]:
        program = self.folder / ("gpg-long-ago" if name == "expired" else "gpg-now")
        return "-c", f"gpg.program={program}", "-c", f"user.signingkey={name}@example.org"

    def allowed(self, name: str, *, principal: str = "a@example.org", options: str = "") -> Path:
        """An allowed-signers file with one key."""
        kind, key, *_ = (self.folder / f"{name}.pub").read_text().split()
        file = self.folder / f"allowed-{name}-{abs(hash((principal, options)))}"
        file.write_text(" ".join(filter(None, (principal, options, kind, key))) + "\n")
        return file

    def ring(self, *names: str, armor: bool = True) -> Path:
        """A file of exported public keys."""
        file = self.folder / f"{'-'.join(names)}.{'asc' if armor else 'gpg'}"
        options = ["--armor"] if armor else []
        file.write_bytes(self._gpg("--export", *options, *(f"{name}@example.org" for name in names)))
        return file

    def make_ssh(self, *names: str) -> None:
        for name in names:
            key = str(self.folder / name)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key], check=True)

    def make_gpg(self, program: str) -> None:
        for wrapper, options in (("gpg-now", ""), ("gpg-long-ago", f"--faked-system-time {_LONG_AGO}")):
            file = self.folder / wrapper
            file.write_text(f'#!/bin/sh\nGNUPGHOME={self.folder} exec {program} --batch {options} "$@"\n')
            file.chmod(0o755)
        for name in ("good", "other", "revoked"):
            self._gpg("--quick-gen-key", f"{name}@example.org", "ed25519", "sign", "never")
        self._gpg("--faked-system-time", _LONG_AGO, "--quick-gen-key", "expired@example.org", "ed25519", "sign", "1y")

    def revoke(self) -> None:
        """Revokes the key `revoked`, with the certificate that gpg made when it made the key."""
        listed = self._gpg("--list-keys", "--with-colons", "revoked@example.org").decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
        certificate = (self.folder / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        armored = self.folder / "revocation.asc"
        armored.write_text(certificate.replace(":-----BEGIN", "-----BEGIN"))
        self._gpg("--import", str(armored))

    def _gpg(self, *arguments: str) -> bytes:
        command = ["gpg", "--batch", "--passphrase", "", "--pinentry-mode", "loopback", *arguments]
        environment = os.environ | {"GNUPGHOME": str(self.folder)}
        return subprocess.run(command, check=True, capture_output=True, env=environment).stdout


@pytest.fixture(scope="session")
def ssh_keys(ssh_keygen_program: str, tmp_path_factory: pytest.TempPathFactory) -> Keys:
    keys = Keys(tmp_path_factory.mktemp("ssh"))
    keys.make_ssh("good", "other")
    return keys


@pytest.fixture(scope="session")
def gpg_keys(gpg_program: str) -> Iterator[Keys]:
    with tempfile.TemporaryDirectory(prefix="trapline-test-") as folder:  # short: it has the agent's socket
        keys = Keys(Path(folder))
        keys.make_gpg(gpg_program)
        yield keys
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True, capture_output=True)


def signed(origin: Origin, options: tuple[str, ...], *, message: str = "a signed change", date: str = "") -> str:
    dated = replace(origin, environment={"GIT_COMMITTER_DATE": date} if date else {})
    dated.git(*options, "commit", "-q", "-S", "--allow-empty", "-m", message)
    return origin.git("rev-parse", "HEAD")


def put(origin: Origin, content: str) -> str:
    """A commit object with any content whatever, at the head of main."""
    commit = origin.git("hash-object", "-t", "commit", "-w", "--stdin", feed=content)
    origin.git("update-ref", "refs/heads/main", commit)
    return commit


def content_of(origin: Origin, commit: str) -> str:
    return origin.git("cat-file", "commit", commit) + "\n"


def signature_in(content: str) -> str:
    """The header with the signature, all its lines."""
    start = content.index("gpgsig ")
    return (
        content[start : content.index("-----END", start)]
        + content[content.index("-----END", start) :].split("\n")[0]
        + "\n"
    )


@pytest.fixture
def verified(origin: Origin, tmp_path: Path) -> Verified:
    return Verified(origin, tmp_path / "mirror")


@dataclass(frozen=True)
class Verified:
    """Fetches what is at the origin and verifies it."""

    origin: Origin
    path: Path

    def __call__(self, mode: Literal["ssh", "gpg"], keys: Path) -> None:
        mirror = Mirror(self.origin.url, self.path, trust=Trust(mode, keys))
        mirror.verify(mirror.fetch())

    def refusal(self, mode: Literal["ssh", "gpg"], keys: Path) -> str:
        with pytest.raises(SourceError) as caught:
            self(mode, keys)
        assert caught.value.code == "unverified"
        assert caught.value.remedy
        return str(caught.value)


def test_nothing_is_verified_where_no_trust_is_given(origin: Origin, tmp_path: Path) -> None:
    origin.commit(a="1")
    mirror = Mirror(origin.url, tmp_path / "m")
    mirror.verify(mirror.fetch())


def test_an_allowed_ssh_key(origin: Origin, verified: Verified, ssh_keys: Keys) -> None:
    signed(origin, ssh_keys.sign_with_ssh("good"))
    verified("ssh", ssh_keys.allowed("good"))


def test_it_is_the_key_that_counts_and_not_the_address(origin: Origin, verified: Verified, ssh_keys: Keys) -> None:
    signed(origin, ssh_keys.sign_with_ssh("good"))
    verified("ssh", ssh_keys.allowed("good", principal="somebody@example.net"))


def test_an_unsigned_commit(origin: Origin, verified: Verified, ssh_keys: Keys) -> None:
    commit = origin.commit(a="1")
    keys = ssh_keys.allowed("good")
    refusal = verified.refusal("ssh", keys)
    assert refusal.startswith(f"commit {commit[:12]} (a change) is not verified: it has no signature (sign ")
    assert str(keys) in refusal


def test_another_ssh_key(origin: Origin, verified: Verified, ssh_keys: Keys) -> None:
    signed(origin, ssh_keys.sign_with_ssh("other"))
    assert "the key SHA256:" in verified.refusal("ssh", keys := ssh_keys.allowed("good"))
    assert f"is not in {keys}" in verified.refusal("ssh", keys)


@pytest.mark.parametrize(
    ("options", "date", "reason"),
    [
        ('valid-before="20200101"', "", "key has expired"),
        ('valid-after="20990101"', "", "key is not yet valid"),
        ('valid-before="20200101"', "2020-01-02T00:00:00Z", "key has expired"),
        ('namespaces="file"', "", "key is not permitted for use in signature namespace"),
    ],
)
def test_an_allowed_ssh_key_outside_its_limits(
    origin: Origin, verified: Verified, ssh_keys: Keys, options: str, date: str, reason: str
) -> None:
    signed(origin, ssh_keys.sign_with_ssh("good"), date=date)
    keys = ssh_keys.allowed("good", options=options)
    assert f"is not verified: {keys}:1: {reason}" in verified.refusal("ssh", keys)


@pytest.mark.parametrize("change", ["message", "tree", "author"])
def test_a_commit_altered_under_its_ssh_signature(
    origin: Origin, verified: Verified, ssh_keys: Keys, change: str
) -> None:
    origin.commit(a="evil")
    evil = origin.git("rev-parse", "HEAD^{tree}")
    origin.commit(a="good")
    content = content_of(origin, signed(origin, ssh_keys.sign_with_ssh("good")))
    altered = {
        "message": content.replace("a signed change", "another change"),
        "tree": content.replace(origin.git("rev-parse", "HEAD^{tree}"), evil),
        "author": content.replace("author A", "author B"),
    }[change]
    assert altered != content
    put(origin, altered)
    assert "its signature is bad" in verified.refusal("ssh", ssh_keys.allowed("good"))


@pytest.mark.parametrize("keep_own", [False, True])
def test_a_signature_of_another_commit(origin: Origin, verified: Verified, ssh_keys: Keys, keep_own: bool) -> None:
    """Alone, or before one by a key that nobody allowed."""
    genuine = signature_in(content_of(origin, signed(origin, ssh_keys.sign_with_ssh("good"))))
    content = content_of(origin, signed(origin, ssh_keys.sign_with_ssh("other"), message="evil"))
    own = signature_in(content)
    put(origin, content.replace(own, genuine + own if keep_own else genuine))
    verified.refusal("ssh", ssh_keys.allowed("good"))


def test_a_signature_in_the_message_is_none(origin: Origin, verified: Verified, ssh_keys: Keys) -> None:
    genuine = signature_in(content_of(origin, signed(origin, ssh_keys.sign_with_ssh("good"))))
    origin.git("commit", "-q", "--allow-empty", "-m", f"evil\n\n{genuine}")
    assert "it has no signature" in verified.refusal("ssh", ssh_keys.allowed("good"))


@pytest.mark.parametrize("armor", [True, False])
def test_a_gpg_key_of_the_keyring(origin: Origin, verified: Verified, gpg_keys: Keys, armor: bool) -> None:
    signed(origin, gpg_keys.sign_with_gpg("good"))
    verified("gpg", gpg_keys.ring("other", "good", armor=armor))


@pytest.mark.parametrize(
    ("name", "reason"), [("other", "is not in"), ("expired", "expired"), ("revoked", "is revoked")]
)
def test_a_gpg_key_that_does_not_count(
    origin: Origin, verified: Verified, gpg_keys: Keys, name: str, reason: str
) -> None:
    signed(origin, gpg_keys.sign_with_gpg(name))
    if name == "revoked":
        verified("gpg", gpg_keys.ring("revoked"))
        gpg_keys.revoke()
    keys = gpg_keys.ring("good") if name == "other" else gpg_keys.ring("good", name)
    assert reason in verified.refusal("gpg", keys)


def test_a_commit_altered_under_its_gpg_signature(origin: Origin, verified: Verified, gpg_keys: Keys) -> None:
    content = content_of(origin, signed(origin, gpg_keys.sign_with_gpg("good")))
    put(origin, content.replace("a signed change", "another change"))
    assert "its signature is bad" in verified.refusal("gpg", gpg_keys.ring("good"))


def test_one_kind_does_not_count_as_the_other(
    origin: Origin, verified: Verified, ssh_keys: Keys, gpg_keys: Keys
) -> None:
    signed(origin, ssh_keys.sign_with_ssh("good"))
    assert "of the kind ssh, and only gpg counts" in verified.refusal("gpg", gpg_keys.ring("good"))
    signed(origin, gpg_keys.sign_with_gpg("good"))
    assert "of the kind gpg, and only ssh counts" in verified.refusal("ssh", ssh_keys.allowed("good"))


@pytest.mark.parametrize("where", ["user", "environment", "mirror"])
def test_own_settings_of_git_trust_nobody(
    origin: Origin,
    verified: Verified,
    ssh_keys: Keys,
    gpg_keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """Settings under which git itself takes every signature for good."""
    answers = {
        "gpg": "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 0123456789ABCDEF A\n[GNUPG:] TRUST_ULTIMATE 0 pgp",
        "ssh": 'Good "git" signature for A with ED25519 key SHA256:0',
    }
    liars = {kind: tmp_path / f"liar-{kind}" for kind in answers}
    for kind, liar in liars.items():
        liar.write_text(f"#!/bin/sh\n[ \"$2\" = find-principals ] || cat >/dev/null\necho '{answers[kind]}'\n")
        liar.chmod(0o755)
    settings = {
        "gpg.program": str(liars["gpg"]),
        "gpg.openpgp.program": str(liars["gpg"]),
        "gpg.x509.program": str(liars["gpg"]),
        "gpg.ssh.program": str(liars["ssh"]),
        "gpg.ssh.allowedSignersFile": str(ssh_keys.allowed("other")),
    }
    signed(origin, ssh_keys.sign_with_ssh("other"))
    Mirror(origin.url, verified.path).fetch()
    if where == "environment":
        monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        file = {"user": tmp_path / "gitconfig", "mirror": verified.path / "config"}.get(where)
        if file:
            origin.git("config", "--file", str(file), key, value)
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    taken = subprocess.run(["git", f"--git-dir={verified.path}", "verify-commit", "refs/trapline/tracked"], check=False)
    assert taken.returncode == 0
    verified.refusal("ssh", ssh_keys.allowed("good"))
    verified.refusal("gpg", gpg_keys.ring("good"))
    signed(origin, gpg_keys.sign_with_gpg("other"))
    verified.refusal("ssh", ssh_keys.allowed("good"))
    verified.refusal("gpg", gpg_keys.ring("good"))


def test_keys_that_cannot_be_used(origin: Origin, verified: Verified, gpg_keys: Keys, tmp_path: Path) -> None:
    signed(origin, gpg_keys.sign_with_gpg("good"))
    missing, text = tmp_path / "missing", tmp_path / "text"
    text.write_text("no keys\n")
    for mode in ("ssh", "gpg"):
        assert f"{missing} cannot be read: No such file" in (said := verified.refusal(mode, missing))
        assert "--trusted-keys" in said
    assert f"{text} are no OpenPGP public keys" in (said := verified.refusal("gpg", text))
    assert "gpg --export --armor" in said


@pytest.mark.parametrize(
    ("mode", "program", "package"), [("ssh", "ssh-keygen", "openssh-client"), ("gpg", "gpg", "gnupg")]
)
def test_a_program_that_is_missing(
    origin: Origin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: Literal["ssh", "gpg"],
    program: str,
    package: str,
) -> None:
    commit = origin.commit(a="1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=f"`{program}` was not found .install {package}") as caught:
        Trust(mode, tmp_path / "keys").check(origin.path / ".git", commit)
    assert caught.value.code == "unverified"


def test_a_commit_that_git_cannot_read(origin: Origin, ssh_keys: Keys) -> None:
    commit = signed(origin, ssh_keys.sign_with_ssh("good"))
    damaged = origin.path / ".git" / "objects" / commit[:2] / commit[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"")
    with pytest.raises(
        SourceError, match=rf"{commit[:12]} cannot be verified, since git .* is corrupt .look"
    ) as caught:
        Trust("ssh", ssh_keys.allowed("good")).check(origin.path / ".git", commit)
    assert caught.value.code == "unverified"


def test_a_hostile_subject_is_safe_to_print(origin: Origin, verified: Verified, ssh_keys: Keys) -> None:
    origin.git("commit", "-q", "--allow-empty", "-m", "\x1b[2Jcleared" + "x" * 500)
    refusal = verified.refusal("ssh", ssh_keys.allowed("good"))
    assert "(?[2Jcleared" in refusal
    assert len(refusal) < 500


def test_nothing_is_left_behind(
    origin: Origin, verified: Verified, gpg_keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(origin, gpg_keys.sign_with_gpg("good"))
    keys = gpg_keys.ring("good")
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    verified("gpg", keys)
    verified.refusal("gpg", gpg_keys.ring("other"))
    assert list(folder.iterdir()) == []


def test_what_killed_verifications_left_is_swept_once_it_is_old(
    origin: Origin, verified: Verified, gpg_keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(origin, gpg_keys.sign_with_gpg("good"))
    folder = tmp_path / "tmp"
    old, young = folder / "trapline-gnupg-old", folder / "trapline-gnupg-young"
    for left in (old, young):
        left.mkdir(parents=True)
        (left / "pubring.kbx").touch()
    os.utime(old, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    verified("gpg", gpg_keys.ring("good"))
    assert list(folder.iterdir()) == [young]
