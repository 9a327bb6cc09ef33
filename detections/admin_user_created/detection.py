from collections import defaultdict

from lib.cloudtrail import account, origin, parameters, principal, who
from lib.iam import written_policy
from lib.policies import is_administrator

ADMINISTRATORS = (":iam::aws:policy/AdministratorAccess", ":iam::aws:policy/IAMFullAccess")
CREDENTIALS = {"CreateAccessKey": "an access key", "CreateLoginProfile": "a console password"}


def detect(records):
    """Yields a match for each user that was made, became an administrator, and was given a credential."""
    created, rights, credentials = {}, {}, defaultdict(list)
    for record in sorted(filter(is_about_a_user, records), key=lambda record: record["ts"]):
        user = account(record), parameters(record)["userName"]
        action = record.deepget("event.action")
        if action == "CreateUser":
            created[user] = record
        elif action in CREDENTIALS:
            credentials[user].append(record)
        elif makes_administrator(record):
            rights[user] = record
    for user in sorted(created.keys() & rights.keys() & credentials.keys()):
        yield told(user, created[user], rights[user], credentials[user])


def is_about_a_user(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.outcome") == "success"
        and isinstance(parameters(record).get("userName"), str)
    )


def makes_administrator(record):
    action, asked = record.deepget("event.action"), parameters(record)
    if action == "AttachUserPolicy":
        return str(asked.get("policyArn")).endswith(ADMINISTRATORS)
    if action == "AddUserToGroup":
        return "admin" in str(asked.get("groupName")).lower()
    return action == "PutUserPolicy" and is_administrator(written_policy(record))


def told(user, creation, grant, credentials):
    number, name = user
    given = " and ".join(sorted({CREDENTIALS[record.deepget("event.action")] for record in credentials}))
    return {
        "record": creation,
        "title": f"{who(creation)} made the administrator {name} in {number}, with {given}",
        "dedupe": f"{principal(creation)} made {name} in {number}",
        "user": name,
        "granted_by": grant.deepget("event.action"),
        "granted": parameters(grant),
        "credentials": given,
        **origin(creation),
    }
