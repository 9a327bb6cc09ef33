import re
from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, origin, session, who

KINDS = 4
WITHIN = timedelta(minutes=15)
INSTANCE = re.compile(r":assumed-role/.+/(i-[0-9a-f]{8,17})$")
CALLS = {
    "cloudtrail.amazonaws.com": {"DescribeTrails", "ListTrails", "GetTrailStatus"},
    "dynamodb.amazonaws.com": {"ListTables"},
    "ec2.amazonaws.com": {"DescribeSnapshots", "DescribeRegions", "GetPasswordData"},
    "guardduty.amazonaws.com": {"ListDetectors"},
    "iam.amazonaws.com": {
        "GetAccountAuthorizationDetails",
        "GetAccountPasswordPolicy",
        "GetAccountSummary",
        "ListAccountAliases",
        "ListGroups",
        "ListPolicies",
        "ListRoles",
        "ListUsers",
    },
    "kms.amazonaws.com": {"ListKeys"},
    "lambda.amazonaws.com": {"ListFunctions20150331"},
    "organizations.amazonaws.com": {"DescribeOrganization", "ListAccounts"},
    "rds.amazonaws.com": {"DescribeDBSnapshots"},
    "s3.amazonaws.com": {"ListBuckets"},
    "secretsmanager.amazonaws.com": {"ListSecrets"},
    "ssm.amazonaws.com": {"DescribeParameters"},
    "sts.amazonaws.com": {"GetCallerIdentity"},
}


def detect(records):
    """Yields a match for each instance whose role asked in many ways what there is in the account."""
    asked = [record for record in records if takes_stock(record)]
    for record, calls in distinct(asked, by=session, what=action, enough=KINDS, within=WITHIN):
        place = f"{account(record)} by {len(calls)} different calls as {who(record)}"
        yield {
            "record": record,
            "title": f"The instance {instance(record)} looked around in {place}",
            "dedupe": session(record),
            "instance": instance(record),
            "calls": calls,
            **origin(record),
        }


def takes_stock(record):
    return (
        action(record) in CALLS.get(record.deepget("event.provider"), ())
        and not by_aws(record)
        and instance(record) is not None
    )


def action(record):
    return record.deepget("event.action")


def instance(record):
    """The instance whose role it is: EC2 names the session after it."""
    found = INSTANCE.search(record.deepget("aws.cloudtrail.user_identity.arn") or "")
    return found.group(1) if found else None
