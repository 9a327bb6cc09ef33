from lib.cloudtrail import account, listed, origin, parameters, region, who
from lib.lambda_functions import function
from lib.policies import ANYBODY, strangers

OPENS = ("AddPermission", "CreateFunctionUrlConfig", "UpdateFunctionUrlConfig")
NARROWS = ("principalOrgID", "sourceAccount", "sourceArn")
CALLS = ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl")


def detect(record):
    return (
        record.deepget("event.provider") == "lambda.amazonaws.com"
        and record.deepget("event.action", "").startswith(OPENS)
        and record.deepget("event.outcome") == "success"
        and bool(callers(record))
    )


def title(record):
    whom, what = listed(callers(record)), "call" if only_calls(record) else "manage"
    return f"{who(record)} lets {whom} {what} {function(record)} of {account(record)} in {region(record)}"


def dedupe(record):
    return f"{function(record)} of {account(record)} in {region(record)}"


def severity(record):
    """A function behind an address is often meant for everybody; one that strangers call by the API hardly ever is."""
    if not only_calls(record):
        return "critical"
    return "medium" if by_address(record) else "high"


def alert_context(record):
    asked = parameters(record)
    return {
        "function": function(record),
        "opened_to": callers(record),
        "action": asked.get("action"),
        "statement": asked.get("statementId"),
        "auth_type": asked.get("authType") or asked.get("functionUrlAuthType"),
        **origin(record),
    }


def callers(record):
    """The strangers that may call the function from now on: accounts, or anybody."""
    asked = parameters(record)
    if asked.get("authType") == "NONE":
        return [ANYBODY]
    condition = {key: asked[key] for key in NARROWS if asked.get(key)}
    allowed = {"Effect": "Allow", "Principal": {"AWS": asked.get("principal")}, "Condition": condition}
    return strangers({"Statement": [allowed]}, record)


def only_calls(record):
    return parameters(record).get("action", CALLS[0]) in CALLS


def by_address(record):
    asked = parameters(record)
    by_url_only = asked.get("invokedViaFunctionUrl") is True or asked.get("action") == "lambda:InvokeFunctionUrl"
    return "authType" in asked or by_url_only
