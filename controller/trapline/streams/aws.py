"""AWS for the streams: clients, what their errors mean, and the fetching of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from trapline.config.aws_session import aws_session
from trapline.settings import StreamSettings
from trapline.streams.decode import too_large
from trapline.streams.source import SourceDown

FETCHERS = 8
"""Objects that are fetched at once."""

_REGION = re.compile(r"\bsqs\.([a-z]{2}[a-z0-9-]*-\d)\.|:kinesis:([a-z0-9-]+):")
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_BAD_CREDENTIALS = re.compile(
    r"InvalidClientTokenId|InvalidAccessKeyId|UnrecognizedClient|ExpiredToken|InvalidToken|Signature|RequestTimeTooSkewed"
)
_REFUSED = re.compile(r"AccessDenied|UnauthorizedOperation|NotAuthorized|^403$|^Forbidden|KMS")
_THROTTLED = re.compile(r"Throttl|SlowDown|TooManyRequests|LimitExceeded|ThroughputExceeded")
_MISSING = re.compile(r"NonExistentQueue|QueueDoesNotExist|ResourceNotFound")
_GONE = ("NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404", "MethodNotAllowed")


class Refused(Exception):
    """What AWS will not give however often it is asked; the message says why."""


def client(service: str, settings: StreamSettings) -> Any:
    """Safe to use from many threads. Its region is as set, or the one that the queue's or stream's name has. Raises
    SourceDown."""
    named = _REGION.search(settings.queue or settings.name or "")
    region = settings.region or (next(filter(None, named.groups())) if named else None)
    # A long poll of SQS may take 20 seconds.
    config = Config(
        retries={"mode": "standard"},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=FETCHERS + 4,
        user_agent_extra="trapline",
    )
    with asking(f"a client of {service}"):
        session: Any = aws_session(region=region, role=settings.role, external_id=settings.external_id)
        return session.client(service, config=config)


@contextmanager
def asking(what: str, grant: str = "") -> Iterator[None]:
    """Around calls of AWS: what they raise is a SourceDown. `grant` is what a policy has to allow for it."""
    try:
        yield
    except ClientError as error:
        raise _down(what, grant, error) from error
    except NoRegionError as error:
        raise SourceDown(f"{what}: no region is set", remedy="set the stream's region:, or AWS_REGION") from error
    except _NO_CREDENTIALS as error:
        remedy = "give the controller's machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise SourceDown(f"{what}: there are no credentials for AWS: {error}", remedy=remedy) from error
    except (BotoCoreError, ResponseParserError, ValueError) as error:  # an endpoint that is no URL is a ValueError
        remedy = "nothing, it is asked again; if it stays, check the network and the region"
        raise SourceDown(f"{what}: AWS cannot be reached: {error}", remedy=remedy) from error


def _down(what: str, grant: str, error: ClientError) -> SourceDown:
    code = code_of(error)
    if _BAD_CREDENTIALS.search(code):
        remedy = "renew the AWS credentials of the controller, and check its clock"
    elif _THROTTLED.search(code):
        remedy = "nothing, it is asked again; if it stays, ask AWS for a higher quota"
    elif _REFUSED.search(code):
        remedy = f"allow {grant} on it, and kms:Decrypt where it is encrypted with a key of yours"
    elif _MISSING.search(code):
        remedy = "check the stream's queue: or name:, its region, and which account is asked"
    else:
        remedy = "nothing, it is asked again; if it stays, see what AWS says"
    return SourceDown(f"{what}: {error}", remedy=remedy)


def code_of(error: BaseException | None) -> str:
    """AWS's word for an error; empty where it has none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def fetch(s3: Any, bucket: str, key: str, version: str, settings: StreamSettings) -> bytes:
    """An object's bytes; of its newest version, where none is named. Raises Refused, and SourceDown where another try
    may have them."""
    place = f"s3://{bucket}/{key}"
    wanted = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    grant = "s3:GetObjectVersion" if version else "s3:GetObject"
    with asking(place, grant):
        try:
            answer = s3.get_object(**wanted)
        except ClientError as error:
            code = code_of(error)
            if code in _GONE:
                raise Refused("it is gone") from None
            if code == "InvalidObjectState":
                raise Refused("it is archived; restore it, then open it again") from None
            if _REFUSED.search(code) and not _BAD_CREDENTIALS.search(code):
                why = f"access is denied; allow {grant} on {place}, and kms:Decrypt where it is encrypted with a key"
                raise Refused(f"{why} of yours") from None
            raise
        with answer["Body"] as body:
            if reason := too_large(int(answer["ContentLength"]), settings):
                raise Refused(reason)
            return bytes(body.read())
