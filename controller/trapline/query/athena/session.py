"""Clients of AWS: the region, the role to assume, and how often a call is tried."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

from trapline.settings import AthenaSettings

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

_METHOD = "trapline-assume-role"


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
    inner = botocore.session.get_session()
    if settings.role:
        inner.get_component("credential_provider").insert_before("env", _AssumedRole(settings.role, settings))
    session = boto3.Session(botocore_session=inner, region_name=settings.region)
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


class _AssumedRole:
    """What botocore asks for credentials first: those of a role, renewed by botocore before they end."""

    METHOD = _METHOD
    CANONICAL_NAME = _METHOD

    def __init__(self, role: str, settings: AthenaSettings) -> None:
        self._role = role
        self._settings = settings

    def load(self) -> DeferredRefreshableCredentials:
        source = botocore.session.get_session()
        credentials = source.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        arguments = {"RoleSessionName": "trapline", "ExternalId": self._settings.external_id}
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(source.create_client, region_name=self._settings.region),
            source_credentials=credentials,
            role_arn=self._role,
            extra_args={key: value for key, value in arguments.items() if value},
        )
        return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method=_METHOD)
