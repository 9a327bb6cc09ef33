"""Sessions at AWS: credentials of the environment, or those of a role that is assumed with them."""

from __future__ import annotations

from functools import partial

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

_METHOD = "trapline-assume-role"


def aws_session(*, region: str | None, role: str | None, external_id: str | None) -> boto3.Session:
    """One for many threads, as long as no two make clients at once. Raises BotoCoreError."""
    inner = botocore.session.get_session()
    if role:
        inner.get_component("credential_provider").insert_before("env", _AssumedRole(role, region, external_id))
    return boto3.Session(botocore_session=inner, region_name=region)


class _AssumedRole:
    """What botocore asks for credentials first: those of a role, renewed by botocore before they end."""

    METHOD = _METHOD
    CANONICAL_NAME = _METHOD

    def __init__(self, role: str, region: str | None, external_id: str | None) -> None:
        self._role = role
        self._region = region
        self._external_id = external_id

    def load(self) -> DeferredRefreshableCredentials:
        source = botocore.session.get_session()
        credentials = source.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        arguments = {"RoleSessionName": "trapline", "ExternalId": self._external_id}
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(source.create_client, region_name=self._region),
            source_credentials=credentials,
            role_arn=self._role,
            extra_args={key: value for key, value in arguments.items() if value},
        )
        return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method=_METHOD)
