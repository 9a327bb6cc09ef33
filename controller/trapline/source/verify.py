"""Whether a commit is signed by somebody who is trusted: git checks, with the given keys and nobody's own settings."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trapline.source.command import Done, TimedOut, run, run_git
from trapline.source.tree import SourceError
from trapline_plugins.text import one_line

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
}
_HOME = "trapline-gnupg-"
_STALE_SECONDS = 3600.0
_GPG_OPTIONS = ("batch", "no-tty", "no-autostart", "trust-model always", "no-auto-key-retrieve")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What git says about a signature."""

    grade: str
    """git's `%G?`; `G` is a good signature by a trusted key."""
    key: str
    accepted: bool
    """Whether `git verify-commit` was content: its words alone can be `Good signature` for anybody's key."""
    said: tuple[str, ...]


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

                read = git("cat-file", "commit", commit)
                if read.status:
                    said = one_line(read.said) or f"it ended with {read.status}"
                    message = f"commit {commit[:12]} cannot be verified, since git cannot read it: {said}"
                    raise _unverified(message, f"look who owns {repository}, and whether git fsck finds damage in it")
                content = read.out.decode(errors="replace")
                reason = self._other_kind(content) or self._reason(_judge(git, commit))
        except TimedOut:
            raise _unverified(f"checking commit {commit[:12]} took more than {timeout:g} s", "try again") from None
        if reason:
            message = f"commit {commit[:12]} ({_subject(content)}) is not verified: {reason}"
            raise _unverified(message, f"sign a commit on top of it with a key that is in {self.keys}")

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
        _sweep()
        with tempfile.TemporaryDirectory(prefix=_HOME) as home:  # readable by nobody else
            environment = {"GNUPGHOME": home}
            (Path(home) / "gpg.conf").write_text("\n".join(_GPG_OPTIONS) + "\n")
            command = [program, "--status-fd", "1", "--import", str(keys)]
            done = run(command, cwd=Path(home), timeout=timeout, environment=environment)
            # The exit status also tells of an agent that cannot be reached, and none is needed.
            if b"IMPORT_OK" not in done.out:
                lines = [line.removeprefix("gpg: ").strip() for line in done.said.strip().splitlines()]
                reason = f"{'; '.join(lines) or 'gpg gave no reason'} (exit status {done.status})"
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

    def _other_kind(self, content: str) -> str:
        """Why the signature in a commit object is none that could count; empty where it could."""
        kind = _kind(content)
        if not kind:
            return "it has no signature"
        return "" if kind == self.mode else f"its signature is of the kind {kind}, and only {self.mode} counts"

    def _reason(self, verdict: Verdict) -> str:
        """What is wrong with a signature; empty for a good one."""
        if verdict.accepted and verdict.grade == "G":
            return ""
        limits = [line for line in verdict.said if line.startswith(f"{self.keys.absolute()}:")]
        if limits:  # ssh-keygen names the line of the allowed signers that it did not accept, and why
            return limits[-1]
        match verdict.grade:
            case "B":
                return "its signature is bad: this is not what was signed"
            case "X" | "Y":
                return f"its signature or the key {verdict.key} has expired"
            case "R":
                return f"the key {verdict.key} that signed it is revoked"
            case "U" | "E" if verdict.key:
                return f"the key {verdict.key} that signed it is not in {self.keys}"
        return f"git does not accept its signature: {' / '.join(verdict.said) or 'no reason given'}"


def _sweep() -> None:
    """Removes the keyrings that killed verifications of ours left."""
    for left in Path(tempfile.gettempdir()).glob(f"{_HOME}*"):
        with suppress(OSError):  # another was faster
            status = left.lstat()
            if status.st_uid == os.getuid() and status.st_mtime < time.time() - _STALE_SECONDS:
                shutil.rmtree(left)


def _judge(git: Callable[..., Done], commit: str) -> Verdict:
    verified = git("verify-commit", commit)
    shown = git("show", "--no-patch", "--format=%G?%n%GK", commit).out.decode(errors="replace")
    grade, _, key = shown.strip().partition("\n")
    return Verdict(grade, key, verified.status == 0, tuple(verified.said.strip().splitlines()))


def _kind(content: str) -> str:
    """The kind of signature in the head of a commit object; empty where there is none."""
    for line in content.partition("\n\n")[0].split("\n"):
        name, _, value = line.partition(" ")
        if name in ("gpgsig", "gpgsig-sha256"):
            return _ARMOR.get(value.strip(), "unknown")
    return ""


def _subject(content: str) -> str:
    line = content.partition("\n\n")[2].partition("\n")[0][:80]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _unverified(message: str, remedy: str) -> SourceError:
    return SourceError("unverified", message, remedy=remedy)
