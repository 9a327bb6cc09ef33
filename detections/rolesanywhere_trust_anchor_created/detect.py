from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificates

from lib.cloudtrail import account, at, listed, origin, parameters, region, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "rolesanywhere.amazonaws.com"
        and record.deepget("event.action") in ("CreateTrustAnchor", "UpdateTrustAnchor")
        and (record.deepget("event.action") == "CreateTrustAnchor" or "source" in parameters(record))
    )


def title(record):
    done = "trusts" if succeeded(record) else "tried to trust"
    return f"{who(record)} {done} certificates of {authority(record)} in {account(record)} in {region(record)}"


def dedupe(record):
    return f"{anchor(record)} in {account(record)} in {region(record)}"


def severity(record):
    """A certificate authority of AWS Private CA is at least one that is paid for, and can be looked up."""
    if not succeeded(record):
        return "low"
    return "medium" if source(record).get("acmPcaArn") else "high"


def alert_context(record):
    return {
        "trust_anchor": anchor(record),
        "private_ca": source(record).get("acmPcaArn"),
        "certificates": [described(certificate) for certificate in certificates(record)],
        **origin(record),
    }


def authority(record):
    subjects = [certificate.subject.rfc4514_string() for certificate in certificates(record)]
    return source(record).get("acmPcaArn") or listed(subjects, most=2) or "an authority that cannot be read"


def certificates(record):
    """The certificates of the bundle that is trusted; none where it cannot be read."""
    try:
        return load_pem_x509_certificates(str(source(record).get("x509CertificateData") or "").encode())
    except ValueError:
        return []


def described(certificate):
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "sha256": certificate.fingerprint(SHA256()).hex(),
        "expires": certificate.not_valid_after_utc.isoformat(),
    }


def source(record):
    data = at(parameters(record), "source", "sourceData")
    return data if isinstance(data, dict) else {}


def anchor(record):
    asked = parameters(record)
    return asked.get("name") or asked.get("trustAnchorId") or "a trust anchor of an unknown name"
