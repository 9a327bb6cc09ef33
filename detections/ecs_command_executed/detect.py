from lib.cloudtrail import account, by_aws, origin, parameters, principal, succeeded, who

CREDENTIALS = ("169.254.170.2", "AWS_CONTAINER_CREDENTIALS", "/environ")


def detect(record):
    return (
        record.deepget("event.provider") == "ecs.amazonaws.com"
        and record.deepget("event.action") == "ExecuteCommand"
        and not by_aws(record)
    )


def title(record):
    tried = "ran a command" if succeeded(record) else "tried to run a command"
    return f"{who(record)} {tried} in {container(record)} of cluster {cluster(record)} in {account(record)}"


def dedupe(record):
    return f"{principal(record)} in {account(record)}"


def severity(record):
    return "high" if any(sign in command(record) for sign in CREDENTIALS) else "low"


def alert_context(record):
    asked = parameters(record)
    return {
        "cluster": cluster(record),
        "task": asked.get("task"),
        "container": container(record),
        "command": command(record),
        **origin(record),
    }


def cluster(record):
    """The cluster's name, also where it was given by its ARN."""
    return str(parameters(record).get("cluster") or "default").rsplit("/", 1)[-1]


def container(record):
    named = parameters(record).get("container")
    return f"container {named}" if named else "a container"


def command(record):
    return str(parameters(record).get("command") or "")
