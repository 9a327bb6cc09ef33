"""Secrets at AWS: moto's Secrets Manager and Parameter Store over a real socket, and an AWS that refuses or is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from tests.aws import REGION, Aws, give_credentials
from tests.playground import eventually
from trapline.config import aws_secrets
from trapline.config.aws_secrets import KEPT_SECONDS, PATIENCE_SECONDS, AwsSecrets
from trapline.config.secrets import AwsReference, SecretError, Unreadable, resolve_secrets
from trapline_plugins.fake_server import Answer, Request, serving


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    give_credentials(monkeypatch)
    aws_secrets.shared.cache_clear()
    yield
    aws_secrets.shared.cache_clear()


def client(service: str, region: str = REGION) -> Any:
    session: Any = boto3.Session()
    return session.client(service, region_name=region)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def at_once(work: Callable[[], object]) -> None:
    work()


def parsed(reference: str) -> AwsReference:
    found = AwsReference.parse(reference)
    assert found
    return found


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("ssm:/prod/slack", AwsReference("ssm", "/prod/slack")),
        ("ssm:/prod/slack:3", AwsReference("ssm", "/prod/slack:3")),
        ("secretsmanager:prod/slack#token", AwsReference("secretsmanager", "prod/slack", key="token")),
        (
            "secretsmanager:prod/slack?region=us-east-1#the token",
            AwsReference("secretsmanager", "prod/slack", "us-east-1", "the token"),
        ),
        (
            "secretsmanager:arn:aws:secretsmanager:eu-north-1:123456789012:secret:slack-AbCdEf",
            AwsReference(
                "secretsmanager", "arn:aws:secretsmanager:eu-north-1:123456789012:secret:slack-AbCdEf", "eu-north-1"
            ),
        ),
        ("secretsmanager:", None),
        ("secretsmanager:a?zone=b", None),
        ("secretsmanager:a#", None),
        ("env:HOME", None),
    ],
)
def test_a_reference_says_what_is_meant(reference: str, meant: AwsReference | None) -> None:
    assert AwsReference.parse(reference) == meant


def test_secrets_are_read_by_name_arn_key_and_region(aws: Aws) -> None:
    made = client("secretsmanager").create_secret(
        Name="prod/slack", SecretString=json.dumps({"token": "xoxb-1", "port": 5})
    )
    client("secretsmanager", "us-east-1").create_secret(Name="binary", SecretBinary=b"from-bytes")
    client("ssm").put_parameter(Name="/prod/jira", Value="from-ssm", Type="SecureString")
    options = {
        "token": "${secretsmanager:prod/slack#token}",
        "by_arn": f"port ${{secretsmanager:{made['ARN']}#port}}",
        "binary": "${secretsmanager:binary?region=us-east-1}",
        "headers": {"Authorization": "Bearer ${ssm:/prod/jira}"},
    }
    resolved = resolve_secrets(options, {})
    assert resolved == {
        "token": "xoxb-1",
        "by_arn": "port 5",
        "binary": "from-bytes",
        "headers": {"Authorization": "Bearer from-ssm"},
    }
    assert "xoxb-1" not in repr(resolved)


def test_what_is_missing_is_named_and_no_value_is(aws: Aws) -> None:
    client("secretsmanager").create_secret(Name="known", SecretString=json.dumps({"user": "hunter2"}))
    client("secretsmanager").create_secret(Name="text", SecretString="hunter2")
    for reference, message, remedy in (
        ("secretsmanager:nothing", "which AWS does not have", "check its name, its region"),
        ("ssm:/nothing", "which AWS does not have", "check its name, its region"),
        ("secretsmanager:known#token", "and its JSON has no key `token`", "its keys are: user"),
        ("secretsmanager:text#token", "and it is no JSON object", "leave out #token"),
    ):
        with pytest.raises(SecretError) as caught:
            resolve_secrets({"token": f"${{{reference}}}"}, {}, destination="soc")
        assert caught.value.message == f"`token` of destination soc refers to ${{{reference}}}, {message}"
        assert caught.value.remedy.startswith(remedy)
        assert "hunter2" not in str(caught.value)


def test_a_value_is_kept_and_a_rotated_one_picked_up(aws: Aws) -> None:
    clock, manager = Clock(), client("secretsmanager")
    secrets, reference = AwsSecrets(now=clock, aside=at_once), parsed("secretsmanager:rotated")
    manager.create_secret(Name="rotated", SecretString="first")
    assert secrets.read(reference) == "first"
    manager.put_secret_value(SecretId="rotated", SecretString="second")
    clock.seconds += KEPT_SECONDS - 1
    assert secrets.read(reference) == "first"
    clock.seconds += 1
    assert secrets.read(reference) == "second"
    manager.delete_secret(SecretId="rotated", ForceDeleteWithoutRecovery=True)
    clock.seconds += KEPT_SECONDS
    with pytest.raises(Unreadable, match="does not have"):
        secrets.read(reference)


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (400, "AccessDeniedException", "allow secretsmanager:GetSecretValue on it, and kms:Decrypt"),
        (400, "UnrecognizedClientException", "renew the AWS credentials"),
        (400, "ExpiredTokenException", "renew the AWS credentials"),
        (400, "DecryptionFailure", "allow secretsmanager:GetSecretValue on it, and kms:Decrypt"),
        (400, "ValidationException", "check the reference"),
        (400, "ThrottlingException", "nothing, it is tried again"),
        (500, "InternalServiceError", "nothing, it is tried again"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, code: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Answer(status, json.dumps({"__type": code, "Message": "no"}).encode())
    with serving(lambda _: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(Unreadable) as caught:
            AwsSecrets().read(parsed("secretsmanager:a"))
        assert len(server.requests) == 1
    assert caught.value.reason == f"and AWS answers {code}: no"
    assert caught.value.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("variable", "reason"),
    [("AWS_DEFAULT_REGION", "no region is set"), ("AWS_ACCESS_KEY_ID", "there are no AWS credentials")],
)
def test_an_environment_that_says_too_little(variable: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable)
    if variable == "AWS_ACCESS_KEY_ID":
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Unreadable, match=reason) as caught:
        AwsSecrets().read(parsed("ssm:/a"))
    assert caught.value.remedy


def test_an_aws_that_is_away_is_left_alone_for_a_while_and_the_last_value_used(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    secrets, known, other = (
        AwsSecrets(now=clock, aside=at_once),
        parsed("secretsmanager:known"),
        parsed("secretsmanager:other"),
    )
    answers = [Answer(200, b'{"SecretString": "value"}')]
    with serving(lambda _: answers[0]) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert secrets.read(known) == "value"
        answers[0] = Answer(None)
        clock.seconds += KEPT_SECONDS
        assert secrets.read(known) == "value"
        for _ in range(2):
            with pytest.raises(Unreadable, match="AWS does not answer"):
                secrets.read(other)
        assert len(server.requests) == 2  # `other` did not wait for what is known to be away
        answers[0] = Answer(200, b'{"SecretString": "back"}')
        clock.seconds += PATIENCE_SECONDS
        assert (secrets.read(known), secrets.read(other)) == ("back", "back")


def test_nobody_waits_for_what_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = Clock(), threading.Event()
    secrets, reference = AwsSecrets(now=clock), parsed("secretsmanager:slow")
    answers = iter(["first", "second", "third"])

    def answer(_: Request) -> Answer:
        text = next(answers)
        if text == "second":
            asked.wait(5)
        return Answer(200, json.dumps({"SecretString": text}).encode())

    with serving(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert secrets.read(reference) == "first"
        clock.seconds += KEPT_SECONDS
        assert [secrets.read(reference) for _ in range(3)] == ["first"] * 3  # while one request is under way
        asked.set()
        eventually(lambda: secrets.read(reference) == "second")
        assert len(server.requests) == 2
