import re

from lib.cloudtrail import account, from_console, origin, parameters, region, response, who
from lib.lambda_functions import function

TOOLS = re.compile(r"terraform|pulumi|aws-cdk|serverless|aws-sam", re.IGNORECASE)
"""Infrastructure code and deployment tools, by what they call themselves in the user agent."""


def detect(record):
    return (
        record.deepget("event.provider") == "lambda.amazonaws.com"
        and record.deepget("event.action", "").startswith("UpdateFunctionCode")
        and record.deepget("event.outcome") == "success"
        and parameters(record).get("dryRun") is not True
        and (from_console(record) or by_key_of_a_user(record))
    )


def title(record):
    where = "in the console" if from_console(record) else "with an access key"
    return f"{who(record)} replaced the code of {function(record)} {where} in {account(record)} in {region(record)}"


def dedupe(record):
    return f"{function(record)} of {account(record)} in {region(record)}"


def severity(record):
    return "low" if from_console(record) else "medium"


def alert_context(record):
    answer, asked = response(record), parameters(record)
    return {
        "function": function(record),
        "role": answer.get("role"),
        "code_sha256": answer.get("codeSha256"),
        "code_from": asked.get("imageUri") or asked.get("s3Bucket"),
        **origin(record),
    }


def by_key_of_a_user(record):
    return record.deepget("aws.cloudtrail.user_identity.type") == "IAMUser" and not TOOLS.search(
        record.deepget("user_agent.original", "")
    )
