"""What rules on S3 ask of a record of `aws_cloudtrail`."""

from lib.cloudtrail import items, parameters


def bucket(record):
    """The bucket's name, for a title and a dedupe key."""
    name = parameters(record).get("bucketName")
    return name if name and isinstance(name, str) else "of an unknown name"


def header(record, name):
    """A header of the request, such as `"x-amz-acl"`; None where it was not sent. CloudTrail has some as lists."""
    values = items(parameters(record).get(name))
    return str(values[0]) if values else None
