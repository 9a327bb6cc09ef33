"""A mail server for tests: it speaks SMTP on a real socket, keeps every letter, and refuses what it is told to refuse.

with fake_smtp(replies={"RCPT TO:<gone@example.com>": "550 5.1.1 no such user"}) as smtp:
    ...  # deliver to smtp.host and smtp.port
    assert [letter.recipients for letter in smtp.letters] == [("soc@example.com",)]
"""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

BREAK = ""
"""The reply that is none: the connection is reset instead."""


@dataclass(frozen=True, slots=True)
class FakeLetter:
    """A letter as it was received; `login` is who had logged in, if anybody."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool
    login: str

    def message(self) -> EmailMessage:
        """The letter with its parts taken apart."""
        return BytesParser(_class=EmailMessage, policy=default).parsebytes(self.content)


@dataclass(slots=True)
class FakeSmtp:
    """Where it is, what it wants and refuses, and what it holds."""

    replies: Mapping[str, str] = field(default_factory=dict)
    """The reply to every command that begins like this; `.` is the end of the letter, `HELLO` the connection."""
    certificate: ssl.SSLContext | None = None
    """With it STARTTLS is offered, or all is encrypted from the start where `tls` is set."""
    tls: bool = False
    users: Mapping[str, str] = field(default_factory=dict)
    """With passwords; where there are any, only they may send."""
    host: str = "127.0.0.1"
    port: int = 0
    letters: list[FakeLetter] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@contextmanager
def fake_smtp(**settings: Any) -> Iterator[FakeSmtp]:
    """Runs one with the settings of `FakeSmtp`."""
    fake = FakeSmtp(**settings)

    class Handler(_Session):
        smtp = fake

    class Server(socketserver.ThreadingTCPServer):
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: a client that gave up is part of some tests."""

    with Server((fake.host, 0), Handler) as server:
        fake.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


class _Session(socketserver.StreamRequestHandler):
    """One client, from greeting to goodbye."""

    smtp: FakeSmtp

    def setup(self) -> None:
        super().setup()
        self.encrypted = False
        self.login = ""
        self.sender = ""
        self.recipients: list[str] = []

    def handle(self) -> None:
        if self.smtp.tls:
            self._encrypt()
        if not self._say(self.smtp.replies.get("HELLO", "220 fake.example ESMTP")):
            return
        while line := self.rfile.readline(2000):
            command = line.decode("ascii").rstrip("\r\n")
            verb = command.split(" ")[0].upper()
            # What an AUTH command carries is the password.
            self.smtp.commands.append(verb if verb == "AUTH" else command)
            refusal = self._refusal(command)
            said = self._say(self._answer(verb, command) if refusal is None else refusal)
            if not said or verb == "QUIT":
                return
            if verb == "STARTTLS":
                self._encrypt()

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def _refusal(self, command: str) -> str | None:
        """What the test wants said instead; BREAK ends it here."""
        for beginning, reply in self.smtp.replies.items():
            if command.upper().startswith(beginning.upper()) and beginning != ".":
                if reply == BREAK:
                    self._reset()
                return reply
        return None

    def _answer(self, verb: str, command: str) -> str:
        match verb:
            case "EHLO":
                return "\r\n".join([*(f"250-{offer}" for offer in self._offers()), "250 8BITMIME"])
            case "STARTTLS":
                return "220 go ahead"
            case "AUTH":
                return self._log_in(command)
            case "MAIL" if self.smtp.users and not self.login:
                return "530 5.7.0 authentication required"
            case "MAIL":
                self.sender, self.recipients = _address(command), []
                return "250 2.1.0 ok"
            case "RCPT":
                self.recipients.append(_address(command))
                return "250 2.1.5 ok"
            case "DATA":
                return self._take()
            case "RSET" | "NOOP":
                return "250 2.0.0 ok"
            case "QUIT":
                return "221 2.0.0 goodbye"
        return "502 5.5.2 what is that?"

    def _offers(self) -> list[str]:
        offers = ["fake.example"]
        if self.smtp.certificate and not self.encrypted:
            offers.append("STARTTLS")
        return [*offers, "AUTH PLAIN"] if self.smtp.users else offers

    def _log_in(self, command: str) -> str:
        _, user, password = base64.b64decode(command.split(" ")[2]).decode().split("\0")
        if self.smtp.users.get(user) != password:
            return f"535 5.7.8 wrong: {password}"  # a server as careless as some are
        self.login = user
        return "235 2.7.0 welcome"

    def _take(self) -> str:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        reply = self.smtp.replies.get(".", "250 2.0.0 queued")
        if reply == BREAK or reply.startswith("2"):
            letter = FakeLetter(self.sender, tuple(self.recipients), b"".join(lines), self.encrypted, self.login)
            self.smtp.letters.append(letter)
        if reply == BREAK:
            self._reset()
        return reply

    def _encrypt(self) -> None:
        if self.smtp.certificate is None:
            raise ValueError("a fake mail server needs a certificate to encrypt with")
        self.connection = self.smtp.certificate.wrap_socket(self.connection, server_side=True)
        self.encrypted = True
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)

    def _say(self, reply: str) -> bool:
        """Whether anything was said."""
        if reply:
            self.wfile.write(f"{reply}\r\n".encode())
        return bool(reply)

    def _reset(self) -> None:
        # Closing with nothing to linger for sends a reset instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _address(command: str) -> str:
    return command.partition("<")[2].partition(">")[0]
