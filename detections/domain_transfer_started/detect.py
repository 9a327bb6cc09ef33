from lib.cloudtrail import account, origin, parameters, succeeded, who
from lib.organization import is_own_account

STEPS = {
    "DisableDomainTransferLock": ("unlocked {} for a transfer", "unlock {} for a transfer"),
    "RetrieveDomainAuthCode": ("got the code that transfers {}", "get the code that transfers {}"),
    "TransferDomainToAnotherAwsAccount": ("began to transfer {}", "transfer {}"),
}


def detect(record):
    return (
        record.deepget("event.provider") == "route53domains.amazonaws.com"
        and record.deepget("event.action")
        in ("DisableDomainTransferLock", "RetrieveDomainAuthCode", "TransferDomainToAnotherAwsAccount")
        and not is_within(record)
    )


def title(record):
    done, tried = STEPS[record.deepget("event.action")]
    what = done if succeeded(record) else f"tried to {tried}"
    to = f" to account {receiver(record)}" if receiver(record) else ""
    return f"{who(record)} {what.format(domain(record))}{to}, registered in {account(record)}"


def dedupe(record):
    return domain(record)


def severity(record):
    if not succeeded(record):
        return "low"
    return "medium" if record.deepget("event.action") == "DisableDomainTransferLock" else "high"


def alert_context(record):
    return {"domain": domain(record), "receiver": receiver(record), **origin(record)}


def is_within(record):
    """Whether the domain goes to an account of yours."""
    return receiver(record) is not None and is_own_account(receiver(record), record)


def receiver(record):
    return parameters(record).get("accountId")


def domain(record):
    return f"domain {parameters(record).get('domainName') or 'of an unknown name'}"
