"""Whether a commit is signed by somebody who is trusted: git checks, with the given keys and nobody's own settings."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trapline.source.command import Done, TimedOut, run, run_git
from trapline.source.tree import SourceError

Mode = Literal["ssh", "gpg"]

_ARMOR = {
    "-----BEGIN SSH SIGNATURE-----": "ssh",
    "-----BEGIN PGP SIGNATURE-----": "gpg",
    "-----BEGIN PGP MESSAGE-----": "gpg",
    "-----BEGIN SIGNED MESSAGE-----": "x509",
}
_PROGRAMS: Mapping[Mode, tuple[str, str]] = {"ssh": ("ssh-keygen", "openssh-client"), "gpg": ("gpg", "gnupg")}
# No settings of the user's or the machine's: they could widen or narrow whom we trust.
_NO_OWN_SETTINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
}
_NOBODY = {  # the programs that vouch for signatures of the kinds that do not count
    "gpg.program": "false",
    "gpg.openpgp.program": "false",
    "gpg.x509.program": "false",
    "gpg.ssh.program": "false",
    "gpg.ssh.allowedSignersFile": os.devnull,
    "gpg.ssh.revocationFile": os.devnull,
    "gpg.minTrustLevel": "fully",
    "log.showSignature": "false",
}
_GPG_OPTIONS = ("batch", "no-tty", "no-autostart", "trust-model always", "no-auto-key-retrieve")
_DETAILS = ("%s", "%G?", "%GK")


@dataclass(frozen=True, slots=True)
class Signature:
    """What git found out about the signature of a commit."""

    subject: str
    kind: str
    """`ssh`, `gpg`, `x509`, or empty where there is none."""
    grade: str
    """git's `%G?`; `G` is a good signature by a trusted key."""
    key: str
    accepted: bool
    """Whether git verify-commit was content."""
    said: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose commits are deployed: a file of allowed ssh signers, or one of exported OpenPGP public keys."""

    mode: Mode
    keys: Path

    def check(self, repository: Path, commit: str, *, timeout: float = 60) -> None:
        """Raises SourceError("unverified") unless the commit has a good signature by one of the keys."""
        program = self._program()
        try:
            with self._settings(program, timeout) as (config, environment):

                def git(*arguments: str) -> Done:
                    return run_git(
                        [f"--git-dir={repository}", *arguments],
                        cwd=repository,
                        timeout=timeout,
                        config=_NOBODY | config,
                        environment=_NO_OWN_SETTINGS | environment,
                    )

                accepted = git("verify-commit", commit)
                details = git("show", "--no-patch", f"--format={'%x00'.join(_DETAILS)}", commit)
                content = git("cat-file", "commit", commit)
        except TimedOut:
            raise _unverified(f"checking commit {commit[:12]} took more than {timeout:g} s", "try again") from None
        subject, grade, key = details.out.decode(errors="replace").rstrip("\n").split("\0")
        found = Signature(subject, _kind(content.out), grade, key, accepted.status == 0, accepted.said)
        if not (found.accepted and found.grade == "G" and found.kind == self.mode):
            raise self._refused(commit, found)

    def _program(self) -> str:
        name, package = _PROGRAMS[self.mode]
        if path := shutil.which(name):
            return path
        message = f"commits cannot be verified: the command `{name}` was not found"
        raise _unverified(message, f"install {package}")

    @contextmanager
    def _settings(self, program: str, timeout: float) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
        """The settings and the environment in which git trusts our keys alone."""
        keys = self._readable_keys()
        if self.mode == "ssh":
            yield {"gpg.ssh.program": program, "gpg.ssh.allowedSignersFile": str(keys)}, {}
            return
        with tempfile.TemporaryDirectory(prefix="trapline-gnupg-") as home:  # readable by nobody else
            environment = {"GNUPGHOME": home}
            (Path(home) / "gpg.conf").write_text("\n".join(_GPG_OPTIONS) + "\n")
            done = run([program, "--import", str(keys)], cwd=Path(home), timeout=timeout, environment=environment)
            if done.status:
                reason = (done.said.strip().splitlines() or ["gpg gave no reason"])[-1].removeprefix("gpg: ").strip()
                remedy = "fill it with: gpg --export --armor KEY ... > FILE"
                raise _unverified(f"the trusted keys {keys} are no OpenPGP public keys: {reason}", remedy)
            yield {"gpg.program": program, "gpg.openpgp.program": program}, environment

    def _readable_keys(self) -> Path:
        try:
            with self.keys.open("rb") as file:
                file.read(1)
        except OSError as error:
            message = f"the trusted keys {self.keys} cannot be read: {error.strerror}"
            raise _unverified(message, "correct --trusted-keys or the file's permissions") from None
        return self.keys.absolute()

    def _refused(self, commit: str, found: Signature) -> SourceError:
        subject = "".join(letter if letter.isprintable() else "?" for letter in found.subject[:80])
        remedy = f"sign a commit on top of it with a key that is in {self.keys}"
        return _unverified(f"commit {commit[:12]} ({subject}) is not verified: {self._reason(found)}", remedy)

    def _reason(self, found: Signature) -> str:
        if not found.kind:
            return "it has no signature"
        if found.kind != self.mode:
            return f"its signature is of the kind {found.kind}, and only {self.mode} counts"
        match found.grade:
            case "B":
                return "its signature is bad: this is not what was signed"
            case "X" | "Y":
                return f"its signature or the key {found.key} has expired"
            case "R":
                return f"the key {found.key} that signed it is revoked"
            case "U" | "E" if found.key:
                return f"the key {found.key} that signed it is not in {self.keys}, or not valid there at its time"
        said = found.said.strip().splitlines() or ["git gave no reason"]
        return f"git does not accept its signature: {said[-1]}"


def _kind(content: bytes) -> str:
    """The kind of signature in the head of a commit object."""
    for line in content.partition(b"\n\n")[0].splitlines():
        name, _, value = line.partition(b" ")
        if name in (b"gpgsig", b"gpgsig-sha256"):
            return _ARMOR.get(value.decode(errors="replace").strip(), "unknown")
    return ""


def _unverified(message: str, remedy: str) -> SourceError:
    return SourceError("unverified", message, remedy=remedy)
