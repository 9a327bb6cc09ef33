from lib.cloudtrail import account, by_service_itself, origin, parameters, region, response, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
        and (succeeded(record) or record.deepget("error.code") in ("Client.UnauthorizedOperation", "AccessDenied"))
        and not by_service_itself(record)
    )


def title(record):
    gave = "gave" if succeeded(record) else "tried to give"
    whom, where = instance(record), f"{account(record)} in {region(record)}"
    return f"{who(record)} {gave} {whom} the instance profile {profile(record)} in {where}"


def dedupe(record):
    return f"{instance(record)} of {account(record)} in {region(record)}"


def severity(record):
    """Who needs the name of an administrator for a running machine is seldom about the machine."""
    if not succeeded(record):
        return "low"
    return "high" if "admin" in profile(record).lower() else "medium"


def alert_context(record):
    return {"instance": instance(record), "instance_profile": profile(record), **origin(record)}


def instance(record):
    """The instance that was asked for; a replacement names only the association, and the answer says whose it is."""
    answered = within(response(record), "iamInstanceProfileAssociation").get("instanceId")
    return answered or request(record).get("InstanceId") or request(record).get("AssociationId") or "an instance"


def profile(record):
    named = within(request(record), "IamInstanceProfile")
    return named.get("Name") or str(named.get("Arn") or "").rpartition("/")[2] or "of an unknown name"


def request(record):
    """What was asked for, which CloudTrail has beneath the name of the request, in EC2's own spelling."""
    return within(parameters(record), f"{record.deepget('event.action')}Request")


def within(container, key):
    """The dictionary of that name, wherever it lies in the first two levels; an empty one where there is none."""
    for level in (container, *container.values()):
        found = level.get(key) if isinstance(level, dict) else None
        if isinstance(found, dict):
            return found
    return {}
