"""Gives a context that contains itself."""

EXPECT = {"outcome": "match"}


def detect(record):
    return True


def alert_context(record):
    context = {"list": []}
    context["self"] = context
    context["list"].append(context)
    return context
