"""What opens the other side: a token, or a key and known hosts. Never on a command line, never shown."""

from __future__ import annotations

import os
import shlex
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from trapline.source.remote import transport
from trapline.source.tree import SourceError

_DEFAULT_USER = "x-access-token"
_MAX_TOKEN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Login:
    """The URL and the environment that let git processes in, and the texts that nobody may see."""

    url: str = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a repository. What does not fit its URL is not used; a `token_file` wins over a `token`."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def login(self, url: str) -> Login:
        """What git needs to be let in at `url`; reads the files anew. Raises SourceError where one cannot be read."""
        match transport(url):
            case "http" | "https":
                return self._http(url)
            case "ssh":
                return Login(url, self._ssh())
        return Login(url)

    def _http(self, url: str) -> Login:
        parts = urlsplit(url)
        token = self._read_token() or unquote(parts.password or "")
        if not token:
            return Login(url)
        user = unquote(parts.username or "") or _DEFAULT_USER
        basic = b64encode(f"{user}:{token}".encode()).decode()
        host = parts.netloc.rpartition("@")[2]
        settings = {
            f"http.{parts.scheme}://{host}/.extraHeader": f"Authorization: Basic {basic}",
            # git would go on with the header wherever it is sent.
            "http.followRedirects": "false",
            # The operator's helper must neither step in for a refused token nor be told to forget its own.
            "credential.helper": "",
        }
        return Login(urlunsplit(parts._replace(netloc=host)), _as_environment(settings), (token, basic))

    def _read_token(self) -> str:
        if self.token_file is None:
            return _checked_token(self.token, "the token in TRAPLINE_GIT_TOKEN", "set it to the token alone")
        where, remedy = f"the token file {self.token_file}", "correct the file or --git-token-file"
        content = _read(self.token_file, where, "--git-token-file", most=_MAX_TOKEN_BYTES)
        token = _checked_token(content.decode(errors="replace"), where, remedy)
        if not token:
            raise SourceError("no-access", f"{where} is empty", remedy=remedy)
        return token

    def _ssh(self) -> dict[str, str]:
        options = ["BatchMode=yes"]
        if self.ssh_key is not None:
            _read(self.ssh_key, f"the ssh key {self.ssh_key}", "--ssh-key")
            options += [f"IdentityFile={_quoted(self.ssh_key)}", "IdentitiesOnly=yes"]
        if self.known_hosts is not None:
            _read(self.known_hosts, f"the known hosts {self.known_hosts}", "--known-hosts")
            options += [f"UserKnownHostsFile={_quoted(self.known_hosts)}", "GlobalKnownHostsFile=/dev/null"]
            options += ["StrictHostKeyChecking=yes"]
        if len(options) == 1 and ("GIT_SSH_COMMAND" in os.environ or "GIT_SSH" in os.environ):
            return {}
        return {"GIT_SSH_COMMAND": shlex.join(["ssh", *(part for option in options for part in ("-o", option))])}


def _checked_token(text: str, where: str, remedy: str) -> str:
    token = text.strip()
    if not token.isprintable() or " " in token:
        raise SourceError(
            "no-access", f"{where} has spaces, line breaks or other characters no token has", remedy=remedy
        )
    return token


def _read(path: Path, where: str, flag: str, *, most: int = 1) -> bytes:
    """The beginning of a file, to tell before ssh or a server does that it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        message = f"{where} cannot be read: {error.strerror}"
        raise SourceError("no-access", message, remedy=f"correct {flag} or the file's permissions") from None


def _quoted(path: Path) -> str:
    """A path as an ssh option takes it: `%` would be expanded, and spaces would end it."""
    text = str(path.absolute()).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'


def _as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings for git that no other process sees, after those that our own environment hands on already."""
    inherited = os.environ.get("GIT_CONFIG_COUNT", "")
    start = int(inherited) if inherited.isdecimal() else 0
    environment = {"GIT_CONFIG_COUNT": str(start + len(settings))}
    for number, (key, value) in enumerate(settings.items(), start):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment
