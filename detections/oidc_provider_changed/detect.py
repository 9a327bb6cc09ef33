from lib.cloudtrail import account, items, listed, origin, parameters, who

ADDED = "CreateOpenIDConnectProvider"
BUILDERS = ("token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io", "api.bitbucket.org")


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in (ADDED, "AddClientIDToOpenIDConnectProvider")
        and record.deepget("event.outcome") == "success"
    )


def title(record):
    if record.deepget("event.action") == ADDED:
        return f"{who(record)} added the identity provider {issuer(record)} to {account(record)}"
    audience = listed(audiences(record)) or "an unknown audience"
    return f"{who(record)} lets tokens for {audience} from {issuer(record)} into {account(record)}"


def dedupe(record):
    return f"{issuer(record)} in {account(record)}"


def severity(record):
    """A cluster of one's own brings a provider of its own; any other issuer is trusted for whatever it may sign."""
    if issuer(record).startswith("oidc.eks."):
        return "low"
    return "medium" if issuer(record).split("/")[0] in BUILDERS else "high"


def alert_context(record):
    return {"issuer": issuer(record), "audiences": audiences(record), **origin(record)}


def issuer(record):
    """The address of who signs the tokens, without its scheme."""
    asked = parameters(record)
    address = str(asked.get("url") or "").removeprefix("https://")
    return address or str(asked.get("openIDConnectProviderArn") or "").partition("/")[2] or "an unknown issuer"


def audiences(record):
    asked = parameters(record)
    return items(asked.get("clientIDList") or asked.get("clientID"))
