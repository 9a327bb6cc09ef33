from lib.cloudtrail import account, at, ec2_parameters, origin, region, response, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
        and (succeeded(record) or record.deepget("error.code") in ("Client.UnauthorizedOperation", "AccessDenied"))
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
    answer = f"{record.deepget('event.action')}Response"
    answered = at(response(record), answer, "iamInstanceProfileAssociation", "instanceId")
    asked = ec2_parameters(record)
    return answered or asked.get("instanceId") or asked.get("associationId") or "an instance"


def profile(record):
    asked = at(ec2_parameters(record), "iamInstanceProfile")
    named = at(asked, "Name") or at(asked, "name") or at(asked, "Arn") or at(asked, "arn")
    return str(named or "of an unknown name").rpartition("/")[2]
