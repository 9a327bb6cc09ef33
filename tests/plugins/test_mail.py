"""The email destination: the contract, the wire, and what each answer of a mail server means."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from trapline_plugins.api import Delivered, Kind, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.contract import DestinationContract
from trapline_plugins.fakes.smtp import BREAK, FakeSmtp, fake_smtp
from trapline_plugins.letter import Letter, write_letter
from trapline_plugins.mail import Email, EmailConfig
from trapline_plugins.samples import HOSTILE_TEXT, NOTIFICATIONS, NOW, a_notification

LOGIN = {"username": "trapline", "password": "s3cret"}


class Certificate(NamedTuple):
    server: ssl.SSLContext
    file: Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One that a server on this machine can have, and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake.example")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    signed = builder.add_extension(here, critical=False).sign(key, hashes.SHA256())
    file = tmp_path_factory.mktemp("certificate") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return Certificate(context, file)


def email(smtp: FakeSmtp, **settings: Any) -> Email:
    settings = {"host": smtp.host, "port": smtp.port, "security": "none", "timeout": 5, **settings}
    config = EmailConfig.model_validate({"sender": "trapline@example.com", "to": ["soc@example.com"], **settings})
    return Email("mail", config, Tools(httpx.Client(trust_env=False), pytest.fail, pytest.fail))


def send(smtp: FakeSmtp, ref: str = "", changes: dict[str, Any] | None = None, **settings: Any) -> Outcome:
    notification = a_notification(**(changes or {}))
    destination = email(smtp, **settings)
    return destination.send(notification, destination.render(notification), ref)


class TestEmailContract(DestinationContract):
    secrets = ("s3cret",)

    def make(self, tools: Tools, url: str) -> Email:
        settings = {"host": "mail.example", "sender": "trapline@example.com", "to": ["soc@example.com"], **LOGIN}
        return Email("mail", EmailConfig.model_validate(settings), tools)

    def assert_within_limits(self, rendered: Letter) -> None:
        assert len(rendered.subject) <= 200
        assert rendered.subject.isprintable() or "\u200d" in rendered.subject
        assert len(rendered.text.encode()) < 200_000
        assert len(rendered.html.encode()) < 400_000


# The letter


def test_the_letter_a_person_reads() -> None:
    letter = write_letter(a_notification(attack=("T1110",), false_positives=("A scanner of ours.",)))
    assert letter.subject == "[HIGH] Brute force from 203.0.113.9"
    assert letter.text.startswith("HIGH: Brute force from 203.0.113.9\n\nWhat happened\n  About: 203.0.113.9\n")
    for line in (
        "  Matches: 5",
        "  Seen: 2030-01-02 02:54:05 to 03:03:05 UTC",
        "  ATT&CK: T1110",
        "  user.name: root",
        "Why it fired\n  Failed logins exceeded the threshold.",
        "What to do\n  1. Look for a login that succeeded.\n  2. Block the address.",
        "It may be a false alarm\n  - A scanner of ours.",
        "  - https://attack.mitre.org/techniques/T1110/",
        "  Revision: 0123456789abcdef0123456789abcdef01234567",
        "  Replay: trapline alerts replay a1b2c3",
    ):
        assert f"\n{line}\n" in letter.text
    assert "<b>ATT&amp;CK</b>: T1110" in letter.html
    assert "<a href='https://attack.mitre.org/techniques/T1110/'>" in letter.html


def test_what_has_changed_is_seen_in_the_subject() -> None:
    assert write_letter(NOTIFICATIONS["updated"]).subject == "[HIGH] updated: Brute force from 203.0.113.9"
    assert write_letter(NOTIFICATIONS["resolved"]).subject == "[RESOLVED] Brute force from 203.0.113.9"


def test_attackers_write_no_html_and_no_links() -> None:
    html = "<img src=x onerror=alert(1)> http://evil.example/' onclick='x"
    letter = write_letter(
        a_notification(title=html, dedupe=html, description=html, runbook=html, context={html: html}, tags=(html,))
    )
    assert "<img" not in letter.html
    assert letter.html.count("href=") == 1, "only the detection's own reference is a link"
    assert "http://evil" not in letter.text + letter.html + letter.subject
    assert "onclick='" not in letter.html


# The wire


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_every_letter_arrives_as_it_was_written(case: str) -> None:
    notification = NOTIFICATIONS[case]
    with fake_smtp() as smtp:
        destination = email(smtp, to=["soc@example.com", "ops@example.com"])
        letter = destination.render(notification)
        outcome = destination.send(notification, letter, "")

    assert outcome == Delivered("<5e1f0c8e@example.com>")
    [taken] = smtp.letters
    assert (taken.sender, taken.recipients) == ("trapline@example.com", ("soc@example.com", "ops@example.com"))
    assert taken.content.isascii()
    assert max(map(len, taken.content.splitlines())) < 998
    message = taken.message()
    assert not message.defects
    assert message["Subject"] == letter.subject
    assert message["From"] == "Trapline <trapline@example.com>"
    assert message["To"] == "soc@example.com, ops@example.com"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == letter.text
    assert html.get_content_type() == "text/html"
    assert html.get_content().replace("\r\n", "\n") == letter.html


def test_a_title_writes_no_header() -> None:
    with fake_smtp() as smtp:
        send(smtp, changes={"title": f"x\r\nBcc: evil@example.com\r\n\r\n{HOSTILE_TEXT}\r\n.\r\nMAIL FROM:<x@y>"})
    [letter] = smtp.letters
    assert letter.message()["Bcc"] is None
    assert letter.recipients == ("soc@example.com",)


@pytest.mark.parametrize("domain", ["example.com", f"{'a' * 60}.{'b' * 60}.example.com"])
def test_letters_about_one_alert_are_one_thread(domain: str) -> None:
    with fake_smtp() as smtp:
        sender, ref = f"trapline@{domain}", ""
        for number, kind in enumerate(Kind):
            outcome = send(smtp, ref, {"kind": kind, "delivery_id": f"{number:032}"}, sender=sender)
            assert isinstance(outcome, Delivered)
            ref = outcome.ref
    opened, *later = smtp.letters
    first, thread = f"<{'0' * 32}@{domain}>", f"<alert-a1b2c3@{domain}>"
    assert f"\r\nMessage-ID: {first}\r\n" in opened.content.decode()
    assert opened.message()["In-Reply-To"] is None
    assert opened.message()["References"] == thread
    for number, letter in enumerate(later, 1):
        assert f"\r\nMessage-ID: <{number:032}@{domain}>\r\n" in letter.content.decode()
        assert f"\r\nIn-Reply-To: {first}\r\n" in letter.content.decode()
        assert f"\r\nReferences: {thread}\r\n {first}\r\n" in letter.content.decode()


def test_an_update_whose_first_letter_was_never_sent_threads_all_the_same() -> None:
    with fake_smtp() as smtp:
        send(smtp, changes={"kind": Kind.UPDATED})
    assert smtp.letters[0].message()["In-Reply-To"] == "<alert-a1b2c3@example.com>"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_is_encrypted_before_it_logs_in(security: str, certificate: Certificate) -> None:
    fake = fake_smtp(certificate=certificate.server, tls=security == "tls", users={"trapline": "s3cret"})
    with fake as smtp:
        outcome = send(smtp, security=security, ca_file=certificate.file, **LOGIN)
    assert isinstance(outcome, Delivered)
    assert (smtp.letters[0].encrypted, smtp.letters[0].login) == (True, "trapline")


def test_a_server_that_nobody_vouches_for_gets_nothing(certificate: Certificate) -> None:
    with fake_smtp(certificate=certificate.server, users={"trapline": "s3cret"}) as smtp:
        outcome = send(smtp, security="starttls", **LOGIN)
    assert isinstance(outcome, Retry)
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.reason
    assert smtp.letters == []
    assert "AUTH" not in smtp.commands


def test_nothing_is_sent_where_encryption_is_not_offered() -> None:
    with fake_smtp() as smtp:
        outcome = send(smtp, security="starttls")
    assert outcome == Rejected("the mail server cannot be used: STARTTLS extension not supported by server.")
    assert smtp.letters == []


# What an answer means


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ({"HELLO": "421 4.3.2 closing"}, Retry("the mail server answered 421 4.3.2 to the connection")),
        ({"HELLO": "554 no mail here"}, Rejected("the mail server answered 554 to the connection")),
        ({"MAIL": "451 4.3.0 later"}, Retry("the mail server answered 451 4.3.0 to the sender")),
        ({"MAIL": "553 5.7.1 not yours"}, Rejected("the mail server answered 553 5.7.1 to the sender")),
        ({"RCPT": "450 4.2.0 greylisted"}, Retry("the mail server answered 450 4.2.0 to soc@example.com")),
        ({"RCPT": "550 5.1.1 unknown"}, Rejected("the mail server answered 550 5.1.1 to soc@example.com")),
        ({"DATA": "452 4.3.1 no room"}, Retry("the mail server answered 452 4.3.1 to the letter")),
        ({"DATA": "554 5.5.1 no"}, Rejected("the mail server answered 554 5.5.1 to the letter")),
        ({".": "452 4.3.1 no room"}, Retry("the mail server answered 452 4.3.1 to the letter")),
        ({".": "552 5.3.4 too big"}, Rejected("the mail server answered 552 5.3.4 to the letter")),
        ({".": "what?"}, Unknown("sent, and the answer was not SMTP")),
        ({"QUIT": "500 stay"}, Delivered("<5e1f0c8e@example.com>")),
        ({"QUIT": BREAK}, Delivered("<5e1f0c8e@example.com>")),
    ],
)
def test_what_an_answer_means(replies: dict[str, str], outcome: Outcome) -> None:
    with fake_smtp(replies=replies) as smtp:
        assert send(smtp) == outcome


@pytest.mark.parametrize("command", ["HELLO", "EHLO", "MAIL", "RCPT"])
def test_a_connection_that_breaks_before_the_letter_is_tried_again(command: str) -> None:
    with fake_smtp(replies={command: BREAK, "HELO": BREAK}) as smtp:
        outcome = send(smtp)
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("no connection: ")
    assert smtp.letters == []


def test_a_connection_that_breaks_after_the_letter_is_unknown() -> None:
    with fake_smtp(replies={".": BREAK}) as smtp:
        outcome = send(smtp)
    assert isinstance(outcome, Unknown)
    assert len(smtp.letters) == 1


def test_nobody_there_is_tried_again() -> None:
    with fake_smtp() as smtp:
        pass
    assert send(smtp) == Retry("no connection: ConnectionRefusedError: [Errno 111] Connection refused")


def test_who_is_refused_keeps_the_letter_from_nobody_else() -> None:
    with fake_smtp(replies={"RCPT TO:<gone@example.com>": "550 5.1.1 unknown"}) as smtp:
        outcome = send(smtp, to=["gone@example.com", "soc@example.com"])
    assert isinstance(outcome, Delivered)
    assert smtp.letters[0].recipients == ("soc@example.com",)


def test_where_all_are_refused_one_that_may_pass_decides() -> None:
    replies = {"RCPT TO:<gone@example.com>": "550 5.1.1 unknown", "RCPT": "450 4.2.0 greylisted"}
    with fake_smtp(replies=replies) as smtp:
        outcome = send(smtp, to=["gone@example.com", "soc@example.com"])
    assert outcome == Retry("the mail server answered 450 4.2.0 to soc@example.com")
    assert "DATA" not in smtp.commands


def test_a_wrong_password_is_not_repeated(certificate: Certificate) -> None:
    """Neither by us in another attempt, nor in the reason, whatever the server says."""
    with fake_smtp(certificate=certificate.server, users={"trapline": "another"}) as smtp:
        outcome = send(smtp, security="starttls", ca_file=certificate.file, **LOGIN)
    assert outcome == Rejected("the mail server answered 535 5.7.8 to the login")


# Settings and the look at them


def test_check_sends_nothing(certificate: Certificate) -> None:
    fake = fake_smtp(
        certificate=certificate.server,
        users={"trapline": "s3cret"},
        replies={"RCPT TO:<gone@example.com>": "550 5.1.1 unknown"},
    )
    secure = {"security": "starttls", "ca_file": certificate.file, **LOGIN}
    with fake as smtp:
        assert email(smtp, **secure).check() is None
        wrong = email(smtp, to=["soc@example.com", "gone@example.com"], **secure).check()
        assert wrong == "the mail server answered 550 5.1.1 to gone@example.com"
        assert email(smtp).check() == "the mail server answered 530 5.7.0 to the sender"
    assert "DATA" not in smtp.commands
    assert smtp.letters == []
    assert email(smtp).check() == "no connection: ConnectionRefusedError: [Errno 111] Connection refused"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"to": []}, "at least 1 item"),
        ({"to": ["soc"]}, "this is not an address such as soc@example.com"),
        ({"to": ["Soc <soc@example.com>"]}, "this is not an address"),
        ({"sender": "a@b>\r\nRCPT TO:<x@y"}, "this is not an address"),
        ({"username": "me"}, "`username` and `password` go together"),
        ({"password": "s3cret"}, "`username` and `password` go together"),
        ({**LOGIN, "security": "none"}, "a password is not sent unencrypted"),
        ({**LOGIN, "password": "päss"}, "a character that cannot be sent to a mail server"),
        ({"security": "ssl"}, "'starttls', 'tls' or 'none'"),
        ({"timeout": 60}, "less than or equal to 20"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    good = {"host": "mail.example", "sender": "trapline@example.com", "to": ["soc@example.com"]}
    with pytest.raises(ValidationError, match=words):
        EmailConfig.model_validate({**good, **settings})


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_usual_ports(security: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(address: tuple[str, int], *_: Any) -> None:
        asked.append(address[1])
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", refuse)
    assert send(FakeSmtp(), port=None, security=security) == Retry("no connection: ConnectionRefusedError")
    assert asked == [port]
