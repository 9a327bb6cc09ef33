"""The raw half of the CloudTrail table: every key CloudTrail documents, as a column below `aws.cloudtrail`.

CloudTrail is messy: a key may hold a string where a struct is usual, and new keys appear without notice. A value that
does not fit its column is kept as JSON text in `unmapped`, so a raw event can always be put together again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import pyarrow as pa

Kind = Literal["text", "flag", "json"]
Spec = Kind | Mapping[str, "Spec"] | list[Mapping[str, "Spec"]]
"""What one key holds: a string, a boolean, an object kept as JSON text, a struct, or a list of structs."""

RAW: Mapping[str, Spec] = {
    "eventVersion": "text",
    "eventType": "text",
    "eventCategory": "text",
    "eventSource": "text",
    "eventName": "text",
    "eventTime": "text",
    "eventID": "text",
    "awsRegion": "text",
    "sourceIPAddress": "text",
    "userAgent": "text",
    "userIdentity": {
        "type": "text",
        "principalId": "text",
        "arn": "text",
        "accountId": "text",
        "accessKeyId": "text",
        "userName": "text",
        "invokedBy": "text",
        "identityProvider": "text",
        "credentialId": "text",
        "onBehalfOf": {"userId": "text", "identityStoreArn": "text"},
        "inScopeOf": "json",
        "sessionContext": {
            "sessionIssuer": {
                "type": "text",
                "principalId": "text",
                "arn": "text",
                "accountId": "text",
                "userName": "text",
            },
            "webIdFederationData": {"federatedProvider": "text", "attributes": "json"},
            "attributes": {"creationDate": "text", "mfaAuthenticated": "text"},
            "ec2RoleDelivery": "text",
            "sourceIdentity": "text",
            "assumedRoot": "text",
        },
    },
    "errorCode": "text",
    "errorMessage": "text",
    "requestParameters": "json",
    "responseElements": "json",
    "additionalEventData": "json",
    "serviceEventDetails": "json",
    "insightDetails": "json",
    "edgeDeviceDetails": "json",
    "addendum": "json",
    "requestID": "text",
    "sharedEventID": "text",
    "vpcEndpointId": "text",
    "vpcEndpointAccountId": "text",
    "readOnly": "flag",
    "managementEvent": "flag",
    "recipientAccountId": "text",
    "apiVersion": "text",
    "sessionCredentialFromConsole": "text",
    "resources": [{"accountId": "text", "type": "text", "ARN": "text", "ARNPrefix": "text"}],
    "tlsDetails": {"tlsVersion": "text", "cipherSuite": "text", "clientProvidedHostHeader": "text"},
}


@cache
def column_name(key: str) -> str:
    """CloudTrail's spelling of a key as a column: `sourceIPAddress` becomes `source_ip_address`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key).lower()


def arrow_type(spec: Spec) -> pa.DataType:
    """The Arrow type of a column."""
    if isinstance(spec, list):
        return pa.list_(arrow_type(spec[0]))
    if isinstance(spec, Mapping):
        return pa.struct([(column_name(key), arrow_type(inner)) for key, inner in spec.items()])
    return pa.bool_() if spec == "flag" else pa.string()


def raw_type() -> pa.DataType:
    """The Arrow type of `aws.cloudtrail`."""
    return pa.struct([*arrow_type(RAW), pa.field("unmapped", pa.string())])


def split_raw(event: Mapping[str, Any]) -> dict[str, Any]:
    """A raw event as the columns of `aws.cloudtrail`; what fits no column is in `unmapped`."""
    columns, rest = _split_struct(event, RAW)
    if rest:
        columns["unmapped"] = json_text(rest)
    return columns


def json_text(value: Any) -> str:
    """JSON, readable where it can be; lone surrogates, which UTF-8 cannot hold, stay escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if is_unicode(text) else json.dumps(value, separators=(",", ":"))


def _split_struct(value: Mapping[str, Any], specs: Mapping[str, Spec]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The part of a mapping that fits the columns, and the rest of it as it was."""
    columns: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, inner in value.items():
        if key not in specs:
            rest[key] = inner
            continue
        column, left = _split(inner, specs[key])
        if column is not None:
            columns[column_name(key)] = column
        if left is not None:
            rest[key] = left
    return columns, rest


def _split(value: Any, spec: Spec) -> tuple[Any, Any]:
    """One value as (what its column holds, what is left over); None for nothing."""
    if spec == "text":
        return (value, None) if isinstance(value, str) and is_unicode(value) else (None, value)
    if isinstance(spec, dict) and isinstance(value, dict):
        columns, rest = _split_struct(value, spec)
        return columns, rest or None
    if isinstance(spec, list) and isinstance(value, list):
        items = [_split(item, spec[0]) for item in value]
        # A list cannot be put together from halves: where one item does not fit, the whole of it is kept as well.
        whole = all(left is None and column is not None for column, left in items)
        return [column for column, _ in items], None if whole else value
    if spec == "json" and isinstance(value, dict):
        return json_text(value), None
    if spec == "flag" and isinstance(value, bool):
        return value, None
    return None, value


def is_unicode(text: str) -> bool:
    """Whether UTF-8, and so a column, can hold it: JSON may spell half a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
