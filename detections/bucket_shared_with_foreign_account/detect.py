from lib.cloudtrail import items, listed, origin, parameters, succeeded, who
from lib.policies import ANYBODY, principals, statements, strangers
from lib.s3 import bucket

# By which load balancers deliver access logs in the regions of before August 2022:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
LOAD_BALANCERS = {
    "127311923021",
    "033677994240",
    "027434742980",
    "797873946194",
    "098369216593",
    "754344448648",
    "589379963580",
    "718504428378",
    "383597477331",
    "600734575887",
    "114774131450",
    "783225319266",
    "582318560864",
    "985666609251",
    "054676820928",
    "156460612806",
    "652711504416",
    "635631232127",
    "009996457667",
    "897822967062",
    "076674570225",
    "507241528517",
    "048591011584",
    "190560391635",
    "638102146993",
    "037604701340",
}
READING = ("s3:get", "s3:list")


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") == "PutBucketPolicy"
        and bool(foreign(record))
    )


def title(record):
    gave = "gave" if succeeded(record) else "tried to give"
    return f"{who(record)} {gave} account {listed(foreign(record))} access to bucket {bucket(record)}"


def dedupe(record):
    return bucket(record)


def severity(record):
    if not succeeded(record):
        return "medium"
    return "medium" if all(action.lower().startswith(READING) for action in actions(record)) else "high"


def alert_context(record):
    return {"bucket": bucket(record), "accounts": foreign(record), "actions": actions(record), **origin(record)}


def foreign(record):
    """The accounts outside of yours that the new policy lets in. Anybody is another detection's."""
    found = strangers(parameters(record).get("bucketPolicy"), record)
    return [account for account in found if account != ANYBODY and account not in LOAD_BALANCERS]


def actions(record):
    """What the policy's statements for such accounts allow, sorted; `NotAction` counts as everything."""
    accounts = foreign(record)
    return sorted(
        {
            str(action)
            for statement in statements(parameters(record).get("bucketPolicy"))
            if any(account in name for name in principals(statement) for account in accounts)
            for action in items(statement.get("Action", "*"))
        }
    )
