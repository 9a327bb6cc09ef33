from datetime import timedelta

from lib.bursts import distinct
from lib.cloudtrail import account, by_aws, by_service_itself, from_console, origin, session, who

KINDS = 6
WITHIN = timedelta(minutes=10)
CALLS = {
    "iam.amazonaws.com": {
        "ListUsers",
        "ListRoles",
        "ListGroups",
        "ListPolicies",
        "ListInstanceProfiles",
        "ListSAMLProviders",
        "ListOpenIDConnectProviders",
        "ListVirtualMFADevices",
        "ListServerCertificates",
        "ListAccountAliases",
        "GetAccountSummary",
        "GetAccountPasswordPolicy",
        "GetAccountAuthorizationDetails",
        "GenerateCredentialReport",
        "GetCredentialReport",
    },
    "sts.amazonaws.com": {"GetCallerIdentity"},
    "organizations.amazonaws.com": {"DescribeOrganization", "ListAccounts", "ListDelegatedAdministrators"},
}


def detect(records):
    """Yields a match for each session that asked in many ways who there is and what they may do."""
    asked = [record for record in records if takes_stock(record)]
    for record, calls in distinct(asked, by=session, what=action, enough=KINDS, within=WITHIN):
        yield {
            "record": record,
            "title": f"{who(record)} took stock of the identities of {account(record)} by {len(calls)} different calls",
            "dedupe": session(record),
            "calls": calls,
            **origin(record),
        }


def takes_stock(record):
    return (
        action(record) in CALLS.get(record.deepget("event.provider"), ())
        and not by_aws(record)
        and not by_service_itself(record)
        and not from_console(record)
    )


def action(record):
    return record.deepget("event.action")
