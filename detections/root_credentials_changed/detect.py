from lib.cloudtrail import account, at, origin, parameters, response
from lib.iam import other_user

SIGN_IN = ("PasswordUpdated", "EmailUpdated")
IAM = ("CreateAccessKey", "UpdateAccessKey", "CreateLoginProfile", "EnableMFADevice", "UploadSigningCertificate")
WHAT = {
    "PasswordUpdated": "The password was changed",
    "EmailUpdated": "The e-mail address was changed",
    "CreateAccessKey": "An access key was made",
    "UpdateAccessKey": "An access key was switched on or off",
    "CreateLoginProfile": "A password was allowed again",
    "EnableMFADevice": "An MFA device was added",
    "UploadSigningCertificate": "A signing certificate was added",
}
SEVERITIES = {"EnableMFADevice": "medium", "CreateAccessKey": "critical"}


def detect(record):
    if record.deepget("event.outcome") != "success":
        return False
    if record.deepget("event.provider") == "signin.amazonaws.com":
        kind = record.deepget("aws.cloudtrail.user_identity.type")
        return record.deepget("event.action") in SIGN_IN and kind in ("Root", None)
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in IAM
        and record.deepget("aws.cloudtrail.user_identity.type") == "Root"
        and other_user(record) is None
    )


def title(record):
    return f"{WHAT[record.deepget('event.action')]} for the root user of {account(record)}"


def dedupe(record):
    return f"{record.deepget('event.action')} in {account(record)}"


def severity(record):
    return SEVERITIES.get(record.deepget("event.action"), "high")


def alert_context(record):
    key = at(response(record), "accessKey", "accessKeyId")
    return {"asked": parameters(record), "new_access_key": key, **origin(record)}
