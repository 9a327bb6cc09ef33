from lib.cloudtrail import account, items, listed, origin, parameters, region, who
from lib.lambda_functions import function
from lib.organization import is_own_account

PUBLISHERS = {
    "017000801446": "AWS, Powertools for Lambda",
    "184161586896": "OpenTelemetry",
    "451483290750": "New Relic",
    "464622532012": "Datadog",
    "580247275435": "AWS, Lambda Insights",
    "901920570463": "AWS, Distro for OpenTelemetry",
}
"""Accounts that publish layers which are in common use. Add your vendors here."""


def detect(record):
    return (
        record.deepget("event.provider") == "lambda.amazonaws.com"
        and record.deepget("event.action", "").startswith(("UpdateFunctionConfiguration", "CreateFunction"))
        and record.deepget("event.outcome") == "success"
        and bool(foreign_layers(record))
    )


def title(record):
    layers = listed([f"{layer[6]} of {layer[4]}" for layer in foreign_layers(record)], most=3)
    return f"{who(record)} put the layer {layers} onto {function(record)} of {account(record)} in {region(record)}"


def dedupe(record):
    return f"{function(record)} of {account(record)} in {region(record)}"


def alert_context(record):
    layers = [":".join(layer) for layer in foreign_layers(record)]
    return {"function": function(record), "layers": layers, **origin(record)}


def foreign_layers(record):
    """The layers of accounts that are neither yours nor a known publisher's: the parts of each one's ARN."""
    named = [str(layer).split(":") for layer in items(parameters(record).get("layers"))]
    return [layer for layer in named if len(layer) > 6 and not is_known(layer[4], record)]


def is_known(publisher, record):
    return publisher in PUBLISHERS or is_own_account(publisher, record)
