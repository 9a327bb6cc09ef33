import base64
import hashlib
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring

from lib.cloudtrail import account, by_service_itself, origin, parameters, who

CERTIFICATE = "{http://www.w3.org/2000/09/xmldsig#}X509Certificate"


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in ("CreateSAMLProvider", "UpdateSAMLProvider")
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
    )


def title(record):
    issuer = issuer_and_certificates(record)[0] or "an issuer that cannot be read"
    return f"{who(record)} has the SAML provider {provider(record)} of {account(record)} trust {issuer}"


def dedupe(record):
    return f"{provider(record)} in {account(record)}"


def alert_context(record):
    issuer, certificates = issuer_and_certificates(record)
    return {"provider": provider(record), "issuer": issuer, "certificates": certificates, **origin(record)}


def issuer_and_certificates(record):
    """The identity provider's entity id, and the SHA-256 fingerprints of what it may sign with; None where unreadable.

    The metadata comes from whoever made the call, so its XML is read without entities and external documents.
    """
    try:
        metadata = fromstring(asked(record, "SAMLMetadataDocument") or "")
    except (ParseError, ValueError):
        return None, []
    found = ["".join((element.text or "").split()) for element in metadata.iter(CERTIFICATE)]
    return metadata.get("entityID"), sorted({fingerprint(text) for text in found if text})


def fingerprint(certificate):
    try:
        return hashlib.sha256(base64.b64decode(certificate)).hexdigest()
    except ValueError:
        return "unreadable"


def provider(record):
    named = asked(record, "Name") or (asked(record, "SAMLProviderArn") or "").rpartition("/")[2]
    return named or "of an unknown name"


def asked(record, name):
    """A text of the request, whichever way CloudTrail begins its name: `samlProviderArn` or `sAMLProviderArn`."""
    found = {key.lower(): value for key, value in parameters(record).items()}.get(name.lower())
    return found if isinstance(found, str) else None
