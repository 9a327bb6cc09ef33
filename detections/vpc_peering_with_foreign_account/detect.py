from lib.cloudtrail import account, by_service_itself, ec2_parameters, listed, origin, response, succeeded, who
from lib.organization import outsiders

ACTIONS = ("CreateVpcPeeringConnection", "AcceptVpcPeeringConnection")
SIDES = ("requesterVpcInfo", "accepterVpcInfo")


def detect(record):
    return (
        record.deepget("event.provider") == "ec2.amazonaws.com"
        and record.deepget("event.action") in ACTIONS
        and succeeded(record)
        and not by_service_itself(record)
        and bool(foreigners(record))
    )


def title(record):
    done = "accepted" if record.deepget("event.action") == "AcceptVpcPeeringConnection" else "asked for"
    return f"{who(record)} {done} a VPC peering of {account(record)} with account {listed(foreigners(record))}"


def dedupe(record):
    return f"{account(record)} with {listed(foreigners(record))}"


def severity(record):
    return "high" if record.deepget("event.action") == "AcceptVpcPeeringConnection" else "medium"


def alert_context(record):
    return {"foreign_accounts": foreigners(record), "connection": connection(record), **origin(record)}


def foreigners(record):
    """The accounts at either end that are neither the record's nor known to lib.organization, sorted."""
    sides = [connection(record).get(side) for side in SIDES]
    owners = [side.get("ownerId") for side in sides if isinstance(side, dict)]
    owners.append(ec2_parameters(record).get("peerOwnerId"))
    return outsiders(owners, record)


def connection(record):
    found = response(record).get("vpcPeeringConnection")
    return found if isinstance(found, dict) else {}
