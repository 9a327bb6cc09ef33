from lib.cloudtrail import additional, by_aws, origin, parameters, principal, who
from lib.organization import is_own_account
from lib.s3 import bucket, header


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") in ("CopyObject", "PutObject", "CreateMultipartUpload")
        and record.deepget("event.outcome") == "success"
        and not by_aws(record)
        and (has_customer_key(record) or foreign_key(record) is not None)
    )


def title(record):
    key = "a key that only the caller has" if has_customer_key(record) else "a KMS key of another account"
    return f"{who(record)} encrypts objects of bucket {bucket(record)} with {key}"


def dedupe(record):
    return f"{principal(record)} in {bucket(record)}"


def severity(record):
    """New objects under a key of another account are mostly for an account of yours that nobody has listed yet."""
    copies = record.deepget("event.action") == "CopyObject"
    return "critical" if copies or has_customer_key(record) else "medium"


def alert_context(record):
    asked = parameters(record)
    return {
        "bucket": bucket(record),
        "object": asked.get("key"),
        "copied_from": header(record, "x-amz-copy-source"),
        "kms_key": foreign_key(record),
        **origin(record),
    }


def has_customer_key(record):
    """Whether the object was encrypted with a key that came with the request and that AWS does not keep."""
    sent = header(record, "x-amz-server-side-encryption-customer-algorithm")
    return sent is not None or additional(record).get("SSEApplied") == "SSE_C"


def foreign_key(record):
    """The ARN of the KMS key that the object was encrypted with, where it is no key of yours; else None."""
    key = header(record, "x-amz-server-side-encryption-aws-kms-key-id") or ""
    parts = key.split(":")
    return key if len(parts) > 4 and parts[2] == "kms" and not is_own_account(parts[4], record) else None
