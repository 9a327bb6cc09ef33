"""Secrets that AWS keeps, in Secrets Manager and in the Parameter Store of Systems Manager.

What is read is kept for some minutes, and then renewed beside whoever uses it, so that a rotated secret is picked up
without a restart, and nobody waits for AWS twice. Where it does not answer, what was read last stays in use.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Thread
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from trapline.config.secrets import AwsReference, Unreadable

KEPT_SECONDS = 300.0
PATIENCE_SECONDS = 30.0
"""How long nobody asks again where AWS did not answer."""

_GRANTS = {"secretsmanager": "secretsmanager:GetSecretValue", "ssm": "ssm:GetParameter"}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_NOT_FOUND = ("ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound")
_REFUSED = ("AccessDenied", "UnauthorizedOperation", "DecryptionFailure", "InvalidKeyId", "KMSAccessDenied")
_BAD_CREDENTIALS = ("UnrecognizedClient", "InvalidClientTokenId", "ExpiredToken", "InvalidSignature", "IncompleteSig")


_Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known of a secret until then: its text, or why there is none."""

    until: float
    text: str = ""
    trouble: Unreadable | None = None


class _Away(Unreadable):
    """AWS did not answer; it may later."""


def _in_a_thread(work: Callable[[], object]) -> None:
    Thread(target=work, daemon=True, name="secrets").start()


class AwsSecrets:
    """Reads secrets and keeps them for a while. Any thread may ask; what is renewed is so `aside`."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        aside: Callable[[Callable[[], object]], None] = _in_a_thread,
    ) -> None:
        self._now = now
        self._aside = aside
        self._kept: dict[_Place, _Kept] = {}
        self._renewing: set[_Place] = set()
        self._away: dict[tuple[str, str], tuple[float, _Away]] = {}

    def read(self, reference: AwsReference) -> str:
        """The secret, or what its JSON has under the reference's key. Raises Unreadable."""
        place = (reference.service, reference.region, reference.name)
        if place not in self._kept:
            self._kept[place] = self._asked(reference, None)
        elif self._now() >= self._kept[place].until and place not in self._renewing:
            self._renewing.add(place)
            self._aside(lambda: self._renew(place, reference))
        kept = self._kept[place]
        if kept.trouble:
            raise Unreadable(kept.trouble.reason, kept.trouble.remedy)
        return _entry(kept.text, reference.key) if reference.key else kept.text

    def _renew(self, place: _Place, reference: AwsReference) -> None:
        try:
            self._kept[place] = self._asked(reference, self._kept[place])
        finally:
            self._renewing.discard(place)

    def _asked(self, reference: AwsReference, before: _Kept | None) -> _Kept:
        try:
            return _Kept(self._now() + KEPT_SECONDS, self._fetched(reference))
        except _Away as trouble:
            if before and not before.trouble:
                return _Kept(self._now() + PATIENCE_SECONDS, before.text)
            return _Kept(self._now() + PATIENCE_SECONDS, trouble=trouble)
        except Unreadable as trouble:
            return _Kept(self._now() + PATIENCE_SECONDS, trouble=trouble)

    def _fetched(self, reference: AwsReference) -> str:
        endpoint = (reference.service, reference.region)
        until, trouble = self._away.get(endpoint, (0.0, None))
        if trouble and self._now() < until:  # of many secrets one alone waits for an endpoint that is away
            raise trouble
        try:
            return _fetch(reference)
        except _Away as error:
            self._away[endpoint] = (self._now() + PATIENCE_SECONDS, error)
            raise


@cache
def shared() -> AwsSecrets:
    """The one of this process."""
    return AwsSecrets()


def _fetch(reference: AwsReference) -> str:
    try:
        client = _client(reference.service, reference.region)
        if reference.service == "ssm":
            return str(client.get_parameter(Name=reference.name, WithDecryption=True)["Parameter"]["Value"])
        answer = client.get_secret_value(SecretId=reference.name)
        return str(answer["SecretString"]) if "SecretString" in answer else bytes(answer["SecretBinary"]).decode()
    except UnicodeDecodeError:
        raise Unreadable("which is not UTF-8", "keep it as text") from None
    except NoRegionError:
        raise Unreadable("and no region is set", "add ?region=... to the reference, or set AWS_REGION") from None
    except _NO_CREDENTIALS as error:
        remedy = "give the controller's machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise Unreadable(f"and there are no AWS credentials to read it with ({type(error).__name__})", remedy) from None
    except ClientError as error:
        raise _refused(error, reference) from None
    except BotoCoreError as error:
        remedy = "nothing, it is tried again; if it stays, check the network and the region"
        raise _Away(f"and AWS does not answer ({type(error).__name__})", remedy) from None


def _client(service: str, region: str) -> Any:
    """One that gives up soon: the first time, deliveries to everybody else wait for it."""
    config = Config(
        connect_timeout=3,
        read_timeout=5,
        retries={"total_max_attempts": 1, "mode": "standard"},
        user_agent_extra="trapline",
    )
    session: Any = boto3.Session()  # of its own: the default one is not made for many threads
    return session.client(service, region_name=region or None, config=config)


def _refused(error: ClientError, reference: AwsReference) -> Unreadable:
    code, said = (str(error.response.get("Error", {}).get(name, "")) for name in ("Code", "Message"))
    answered = f"and AWS answers {code}: {said}"
    if code in _NOT_FOUND:
        return Unreadable("which AWS does not have", "check its name, its region, and which account is asked")
    if code.startswith(_BAD_CREDENTIALS):
        return Unreadable(answered, "renew the AWS credentials of the controller")
    if code.startswith(_REFUSED):
        grant = _GRANTS[reference.service]
        return Unreadable(answered, f"allow {grant} on it, and kms:Decrypt where it is encrypted with a key of yours")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or "Throttl" in code or "TooManyRequests" in code:
        return _Away(answered, "nothing, it is tried again")
    return Unreadable(answered, "check the reference")


def _entry(text: str, key: str) -> str:
    """What a JSON object has under a key. Its other keys may be named; no value ever is."""
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise Unreadable("and it is no JSON object", f"leave out #{key}, or keep it as JSON")
    if key not in entries:
        raise Unreadable(f"and its JSON has no key `{key}`", f"its keys are: {', '.join(map(str, entries)) or 'none'}")
    value = entries[key]
    return value if isinstance(value, str) else json.dumps(value)
