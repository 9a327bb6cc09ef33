from lib.cloudtrail import account, by_aws, items, origin, parameters, principal, succeeded, who


def detect(record):
    return (
        record.deepget("event.provider") == "secretsmanager.amazonaws.com"
        and record.deepget("event.action") == "BatchGetSecretValue"
        and not by_aws(record)
        and bool(filters(record))
    )


def title(record):
    tried = "read" if succeeded(record) else "tried to read"
    return f"{who(record)} {tried} all secrets in {account(record)} that fit a filter"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "medium" if succeeded(record) else "low"


def alert_context(record):
    return {"filters": filters(record), **origin(record)}


def filters(record):
    """The filters that chose the secrets. With a list of names instead there are none."""
    return items(parameters(record).get("filters"))
