"""The `email` destination: a letter for each notification over SMTP, those about one alert in one thread."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from trapline_plugins.api import (
    Delivered,
    Destination,
    DestinationConfig,
    Kind,
    Notification,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from trapline_plugins.letter import Letter, write_letter

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?!\S)")


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError("this is not an address such as soc@example.com")
    return value


def _sendable(text: str) -> str:
    if not (text and text.isascii() and text.isprintable()):
        raise ValueError("it is empty, or has a character that cannot be sent to a mail server")
    return text


def _sendable_secret(value: SecretStr) -> SecretStr:
    _sendable(value.get_secret_value())
    return value


class EmailConfig(DestinationConfig):
    """The settings of an `email` destination."""

    host: str = Field(min_length=1, description="The mail server that takes letters from Trapline.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Its port. By default 587, 465 for `tls`, 25 for `none`."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="`starttls` and `tls` encrypt and check the server's certificate; `none` does not."
    )
    username: Annotated[str, AfterValidator(_sendable)] | None = Field(
        None, description="Who logs in. Without it nobody does."
    )
    password: Annotated[SecretStr, AfterValidator(_sendable_secret)] | None = Field(
        None, description="The password of `username`. It is never sent unencrypted."
    )
    sender: Annotated[str, AfterValidator(_address)] = Field(description="The address that letters are from.")
    to: tuple[Annotated[str, AfterValidator(_address)], ...] = Field(
        min_length=1, max_length=50, description="The addresses that letters go to."
    )
    ca_file: Path | None = Field(
        None, description="Certificates to trust, in PEM, instead of the system's: for a server with one of your own."
    )
    timeout: float = Field(10, gt=0, le=20, description="Seconds to wait for the connection and for each answer.")

    @model_validator(mode="after")
    def _login_is_whole_and_secret(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` go together")
        if self.password and self.security == "none":
            raise ValueError("a password is not sent unencrypted: set `security`")
        return self


class Email(Destination[EmailConfig]):
    """Sends each notification as a letter whose Message-ID is the same in every attempt."""

    kind = "email"
    config_model = EmailConfig

    def render(self, notification: Notification) -> Letter:
        return write_letter(notification)

    def send(self, notification: Notification, rendered: Letter, ref: str) -> Outcome:
        message = self._message(notification, rendered, ref)
        try:
            with self._session() as smtp:
                self._address(smtp)
                lost = _hand_over(smtp, message.as_bytes())
        except OSError as error:  # smtplib's own errors are among these
            return _not_sent(error)
        return lost or Delivered(ref=ref or str(message["Message-ID"]))

    def check(self) -> str | None:
        """Goes as far as naming every recipient, and takes it back: nothing is sent."""
        try:
            with self._session() as smtp:
                _expect(smtp.mail(self.config.sender), "the sender")
                for recipient in self.config.to:
                    _expect(smtp.rcpt(recipient), recipient)
                smtp.rset()
        except OSError as error:
            return _not_sent(error).reason
        return None

    def _message(self, notification: Notification, letter: Letter, ref: str) -> EmailMessage:
        """`ref` is the Message-ID of the alert's first letter, where there was one."""
        domain = self.config.sender.rpartition("@")[2]
        thread = f"<alert-{notification.alert_id}@{domain}>"
        message = EmailMessage(policy=_LETTERS)
        message["From"] = Address("Trapline", addr_spec=self.config.sender)
        message["To"] = [Address(addr_spec=recipient) for recipient in self.config.to]
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(notification.at)
        message["Message-ID"] = f"<{notification.delivery_id}@{domain}>"
        message["References"] = f"{thread} {ref}".rstrip()
        if notification.kind is not Kind.OPENED:
            message["In-Reply-To"] = ref or thread
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"  # the same in Exchange's words
        message.set_content(letter.text, cte="quoted-printable")
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        return message

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection that is encrypted and logged in as the settings say. Raises OSError."""
        smtp = self._connected()
        try:
            smtp.ehlo_or_helo_if_needed()
            if self.config.security == "starttls":
                smtp.starttls(context=self._trust())
                smtp.ehlo_or_helo_if_needed()
            if self.config.username and self.config.password:
                smtp.login(self.config.username, self.config.password.get_secret_value())
            yield smtp
            with suppress(OSError):  # what it says to our goodbye changes nothing
                smtp.quit()
        finally:
            smtp.close()

    def _connected(self) -> smtplib.SMTP:
        c = self.config
        port = c.port or _PORTS[c.security]
        if c.security == "tls":
            return smtplib.SMTP_SSL(c.host, port, timeout=c.timeout, context=self._trust())
        return smtplib.SMTP(c.host, port, timeout=c.timeout)

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.config.ca_file)

    def _address(self, smtp: smtplib.SMTP) -> None:
        """Names sender and recipients. Raises OSError where the server takes none of them."""
        _expect(smtp.mail(self.config.sender), "the sender")
        answers = [(smtp.rcpt(recipient), recipient) for recipient in self.config.to]
        if not any(_taken(answer) for answer, _ in answers):
            _expect(*min(answers))  # one that may pass (4xx) before one that will not


class _LetterPolicy(EmailPolicy):
    """Python would encode a Message-ID that is too long for a line, and no client would know it again."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name in ("References", "In-Reply-To"):
            return b": ".join([name.encode(), value.replace(" ", "\r\n ").encode()]) + b"\r\n"
        return super().fold_binary(name, value)


_LETTERS = _LetterPolicy(linesep="\r\n")


class _Refused(smtplib.SMTPResponseException):
    """The server said no to `what`."""

    def __init__(self, answer: tuple[int, bytes], what: str) -> None:
        super().__init__(*answer)
        self.what = what


def _taken(answer: tuple[int, bytes]) -> bool:
    return 200 <= answer[0] < 300


def _expect(answer: tuple[int, bytes], what: str) -> None:
    if not _taken(answer):
        raise _Refused(answer, what)


def _hand_over(smtp: smtplib.SMTP, content: bytes) -> Unknown | None:
    """Sends the letter itself. Raises OSError where it was not taken; Unknown where nobody can tell."""
    try:
        answer = smtp.data(content)
    except smtplib.SMTPDataError as error:
        raise _Refused((error.smtp_code, _bytes(error.smtp_error)), "the letter") from None
    except OSError as error:
        smtp.close()
        return Unknown(f"sent, and no answer came: {_say(error)}")
    if answer[0] < 0:
        return Unknown("sent, and the answer was not SMTP")
    _expect(answer, "the letter")
    return None


def _not_sent(error: OSError) -> Retry | Rejected:
    """Reads the codes alone: what else a server says may quote what it was told, the password included."""
    if isinstance(error, smtplib.SMTPResponseException):
        enhanced = _ENHANCED.match(_bytes(error.smtp_error))
        code = f"{error.smtp_code} {enhanced[1].decode()}" if enhanced else str(error.smtp_code)
        reason = f"the mail server answered {code} to {_what(error)}"
        return Rejected(reason) if error.smtp_code >= 500 else Retry(reason)
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return Rejected(f"the mail server cannot be used: {error}")  # smtplib's words, such as a missing STARTTLS
    return Retry(f"no connection: {_say(error)}")


def _what(error: smtplib.SMTPResponseException) -> str:
    if isinstance(error, _Refused):
        return error.what
    return "the login" if isinstance(error, smtplib.SMTPAuthenticationError) else "the connection"


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _say(error: OSError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
