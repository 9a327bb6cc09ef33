from lib.cloudtrail import origin, parameters
from lib.sharing import permitted, sharing_key, sharing_severity, sharing_title


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") == "ModifyImageAttribute"
        and bool(shared_with(record))
    )


def title(record):
    return sharing_title(record, f"machine image {image(record)}", shared_with(record))


def dedupe(record):
    return sharing_key(record, shared_with(record))


def severity(record):
    return sharing_severity(record, shared_with(record))


def alert_context(record):
    return {"image": image(record), "shared_with": shared_with(record), **origin(record)}


def shared_with(record):
    """The accounts outside of yours that may now start the image; `all` is everybody."""
    return permitted(record, "launchPermission")


def image(record):
    return parameters(record).get("imageId") or "of an unknown id"
