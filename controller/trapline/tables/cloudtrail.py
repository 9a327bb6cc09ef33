"""One raw CloudTrail event as one ECS record, and the schema of the table `aws_cloudtrail`.

The ECS half (`event`, `user`, `source`, `cloud`, ...) is what rules read; the raw half is below `aws.cloudtrail`.
Nothing here raises over what an event holds, and nothing an event holds is lost.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from trapline.tables.actions import categories, types
from trapline.tables.raw import is_unicode, json_text, raw_type, split_raw

TABLE = "aws_cloudtrail"

_TEXT = pa.string()
_TEXTS = pa.list_(_TEXT)


def _struct(**columns: pa.DataType) -> pa.DataType:
    return pa.struct(list(columns.items()))


SCHEMA: pa.Schema = pa.schema(
    [
        pa.field("ts", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field(
            "event",
            _struct(
                id=_TEXT,
                kind=_TEXT,
                action=_TEXT,
                provider=_TEXT,
                outcome=_TEXT,
                category=_TEXTS,
                type=_TEXTS,
                original=_TEXT,
            ),
        ),
        pa.field("user", _struct(name=_TEXT, id=_TEXT, roles=_TEXTS)),
        pa.field("source", _struct(address=_TEXT, ip=_TEXT)),
        pa.field("cloud", _struct(provider=_TEXT, region=_TEXT, account=_struct(id=_TEXT))),
        pa.field("user_agent", _struct(original=_TEXT)),
        pa.field("error", _struct(code=_TEXT, message=_TEXT)),
        pa.field(
            "tls",
            _struct(version=_TEXT, version_protocol=_TEXT, cipher=_TEXT, client=_struct(server_name=_TEXT)),
        ),
        pa.field("related", _struct(user=_TEXTS, ip=_TEXTS, hosts=_TEXTS)),
        pa.field("aws", pa.struct([("cloudtrail", raw_type())])),
    ]
)


def event_time(event: Mapping[str, Any]) -> datetime | None:
    """When the event happened, in UTC; None where it does not say, and then it belongs on no day of the table."""
    text = event.get("eventTime")
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        # CloudTrail always writes UTC; some tools that copy its events drop the Z.
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def normalise(event: Mapping[str, Any]) -> dict[str, Any]:
    """One raw event as one record of the table. Columns without a value are absent."""
    raw = split_raw(event)
    identity = raw.get("user_identity", {})
    user = _user(identity, event)
    source = _source(raw.get("source_ip_address"))
    tls = raw.get("tls_details", {})
    host = tls.get("client_provided_host_header")
    version_protocol, _, version = tls.get("tls_version", "").partition("v")
    provider, action = raw.get("event_source"), raw.get("event_name")
    ecs = {
        "ts": event_time(event),
        "event": {
            "id": raw.get("event_id"),
            "kind": "event",
            "action": action,
            "provider": provider,
            "outcome": "failure" if _failed(event) else "success",
            "category": categories(provider or "", action or ""),
            "type": types(provider or "", action or "", raw.get("error_code")),
            "original": json_text(event),
        },
        "user": user,
        "source": source,
        "cloud": {
            "provider": "aws",
            "region": raw.get("aws_region"),
            "account": {"id": raw.get("recipient_account_id") or identity.get("account_id")},
        },
        "user_agent": {"original": raw.get("user_agent")},
        "error": {"code": raw.get("error_code"), "message": raw.get("error_message")},
        "tls": {
            "version": version or None,
            "version_protocol": version_protocol.lower() or None,
            "cipher": tls.get("cipher_suite"),
            "client": {"server_name": host},
        },
        "related": {
            "user": _related_users(identity, event, user),
            "ip": [source["ip"]] if source["ip"] else [],
            "hosts": [host] if host else [],
        },
    }
    return _present(ecs) | {"aws": {"cloudtrail": raw}}


def _failed(event: Mapping[str, Any]) -> bool:
    """A failed call has an error; a failed console login has a message and says so in its response, with no code."""
    response = _object(event, "responseElements")
    return (
        event.get("errorCode") is not None
        or event.get("errorMessage") is not None
        or "Failure" in (response.get("ConsoleLogin"), response.get("SwitchRole"))
    )


def _user(identity: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Who did it. A service of AWS is no user: its events have no `user.name`.

    Behind a role `user.name` is the role, which stays the same from session to session. Only the roles of IAM
    Identity Center are the other way round: their session name is a person.
    """
    kind, name = identity.get("type"), identity.get("user_name")
    role, session = _role_and_session(identity)
    if kind == "Root":
        name = name or "root"
    elif role:
        name = session if role.startswith("AWSReservedSSO_") else role
    elif kind == "FederatedUser":
        name = name or identity.get("arn", "").rpartition("/")[2]
    elif kind == "IdentityCenterUser":
        name = name or _object(event, "additionalEventData").get("UserName")
    user_id = identity.get("principal_id") or identity.get("on_behalf_of", {}).get("user_id")
    return {"name": _text(name), "id": user_id, "roles": [role] if role else []}


def _role_and_session(identity: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """From `arn:aws:sts::111122223333:assumed-role/ROLE/SESSION`; the role's own name is the session issuer's."""
    if identity.get("type") != "AssumedRole":
        return None, None
    role, _, session = identity.get("arn", "").partition(":assumed-role/")[2].partition("/")
    issuer = identity.get("session_context", {}).get("session_issuer", {})
    return issuer.get("user_name") or role or None, session or None


def _related_users(identity: Mapping[str, Any], event: Mapping[str, Any], user: Mapping[str, Any]) -> list[str]:
    """Every name by which the acting user, and the user or role acted upon, may be searched for."""
    parameters = _object(event, "requestParameters")
    names = [
        user["name"],
        *_role_and_session(identity),
        identity.get("session_context", {}).get("source_identity"),
        _text(parameters.get("userName")),
        _text(parameters.get("roleName")),
    ]
    return list(dict.fromkeys(name for name in names if name))


def _source(address: str | None) -> dict[str, str | None]:
    """`source.ip` only for an address; a service ("ec2.amazonaws.com", "AWS Internal") is in `source.address` alone."""
    try:
        ip = str(ipaddress.ip_address(address or ""))
    except ValueError:
        ip = None
    return {"address": address, "ip": ip}


def _object(event: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = event.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if value and isinstance(value, str) and is_unicode(value) else None


def _present(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Without the columns that have no value; a struct without a value goes too, a list stays."""
    kept = {key: _present(value) if isinstance(value, dict) else value for key, value in columns.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}
