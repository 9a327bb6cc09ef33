"""Clients of AWS: the region, the role to assume, and how often a call is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import NoCredentialsError

from trapline.config.aws_session import aws_session
from trapline.settings import AthenaSettings

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Clients:
    """Each is safe to use from many threads."""

    session: boto3.Session
    athena: AthenaClient
    glue: GlueClient
    s3: S3Client

    def file_io(self) -> dict[str, str]:
        """The same account and endpoint in PyIceberg's words. Raises BotoCoreError."""
        found = self.session.get_credentials()
        if found is None:
            raise NoCredentialsError
        keys = found.get_frozen_credentials()
        options = {
            "s3.access-key-id": keys.access_key,
            "s3.secret-access-key": keys.secret_key,
            "s3.session-token": keys.token,
            "s3.region": self.session.region_name,
            "s3.endpoint": self.s3.meta.endpoint_url,
        }
        return {name: value for name, value in options.items() if value}


def clients(settings: AthenaSettings) -> Clients:
    """Raises BotoCoreError where the environment has no region or no credentials to assume the role with."""
    session = aws_session(region=settings.region, role=settings.role, external_id=settings.external_id)
    # AWS_MAX_ATTEMPTS holds: what is still throttled then is waited for by whoever asks.
    config = Config(
        retries={"mode": "standard"},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=settings.concurrency + 10,
        user_agent_extra="trapline",
    )
    return Clients(
        session,
        session.client("athena", config=config),
        session.client("glue", config=config),
        session.client("s3", config=config),
    )
