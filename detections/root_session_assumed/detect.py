from lib.cloudtrail import account, origin, parameters, principal, succeeded, who

READS = "IAMAuditRootUserCredentials"
ALLOWS_RECOVERY = "IAMCreateRootUserPassword"


def detect(record):
    return record.deepget("event.provider") == "sts.amazonaws.com" and record.deepget("event.action") == "AssumeRoot"


def title(record):
    tried = "took" if succeeded(record) else "tried to take"
    return f"{who(record)} of {account(record)} {tried} a root session in {target(record)} for {task(record)}"


def dedupe(record):
    return f"{principal(record)} in {target(record)}"


def severity(record):
    if not succeeded(record) or task(record) == READS:
        return "low"
    return "critical" if task(record) == ALLOWS_RECOVERY else "high"


def alert_context(record):
    return {"target": target(record), "task": task(record), **origin(record)}


def target(record):
    """The member account, which may have been given by the ARN of its root."""
    named = parameters(record).get("targetPrincipal") or "an unknown account"
    return named.removesuffix(":root").rsplit(":", 1)[-1]


def task(record):
    """The name of AWS's policy that limits the session to one task."""
    policy = parameters(record).get("taskPolicyArn")
    arn = policy.get("arn") if isinstance(policy, dict) else policy
    return str(arn or "an unknown task").rsplit("/", 1)[-1]
