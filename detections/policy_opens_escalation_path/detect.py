import re

from policyuniverse.expander_minimizer import get_actions_from_statement

from lib.cloudtrail import account, by_service_itself, items, listed, origin, principal, who
from lib.iam import is_own, target, written_policy
from lib.policies import is_administrator, statements

WRITES = ("PutUserPolicy", "PutRolePolicy", "PutGroupPolicy", "CreatePolicy", "CreatePolicyVersion")
PATHS = {
    "rewrite a managed policy": {"iam:createpolicyversion"},
    "switch a managed policy's version": {"iam:setdefaultpolicyversion"},
    "attach a policy to a user": {"iam:attachuserpolicy"},
    "attach a policy to a group": {"iam:attachgrouppolicy"},
    "attach a policy to a role": {"iam:attachrolepolicy"},
    "write a policy into a user": {"iam:putuserpolicy"},
    "write a policy into a group": {"iam:putgrouppolicy"},
    "write a policy into a role": {"iam:putrolepolicy"},
    "join any group": {"iam:addusertogroup"},
    "make access keys of any user": {"iam:createaccesskey"},
    "make a console password of any user": {"iam:createloginprofile"},
    "change the console password of any user": {"iam:updateloginprofile"},
    "have any role trust the caller": {"iam:updateassumerolepolicy"},
    "pass any role to a Lambda function": {"iam:passrole", "lambda:createfunction"},
    "pass any role to an EC2 instance": {"iam:passrole", "ec2:runinstances"},
    "pass any role to an ECS task": {"iam:passrole", "ecs:registertaskdefinition", "ecs:runtask"},
    "pass any role to a CloudFormation stack": {"iam:passrole", "cloudformation:createstack"},
    "pass any role to a Glue job": {"iam:passrole", "glue:createjob", "glue:startjobrun"},
    "pass any role to a Glue endpoint": {"iam:passrole", "glue:createdevendpoint"},
    "pass any role to a CodeBuild project": {"iam:passrole", "codebuild:createproject", "codebuild:startbuild"},
    "pass any role to a SageMaker notebook": {
        "iam:passrole",
        "sagemaker:createnotebookinstance",
        "sagemaker:createpresignednotebookinstanceurl",
    },
    "pass any role to a state machine": {"iam:passrole", "states:createstatemachine", "states:startexecution"},
    "assume any role": {"sts:assumerole"},
}
"""How rights on everything become all rights: the actions that each way takes, in lower case."""

EVERYTHING = re.compile(r"\*|arn:aws[a-z-]*:iam::(\*|\d{12}):(\*|(user|group|role|policy)/\*)")
"""All resources, or all of one kind that IAM has."""


def detect(record):
    return (
        record.deepget("event.provider") == "iam.amazonaws.com"
        and record.deepget("event.action") in WRITES
        and record.deepget("event.outcome") == "success"
        and not by_service_itself(record)
        and not is_administrator(written_policy(record))
        and bool(paths(record))
    )


def title(record):
    named = target(record)
    whom = f"holders of {named}" if named.startswith("the policy") else named
    return f"{who(record)} lets {whom} in {account(record)} {listed(paths(record), most=2)}"


def dedupe(record):
    return f"{principal(record)} for {target(record)} in {account(record)}"


def severity(record):
    if is_own(record):
        return "critical"
    return "medium" if all(path.startswith(("pass", "assume")) for path in paths(record)) else "high"


def alert_context(record):
    return {"target": target(record), "paths": paths(record), "policy": written_policy(record), **origin(record)}


def paths(record):
    """The names of the ways that the policy opens."""
    found = statements(written_policy(record))
    actions = granted(found, "Allow") - granted(found, "Deny")
    return [name for name, needed in PATHS.items() if needed <= actions]


def granted(found, effect):
    """All actions that statements of one effect are about, in lower case, on everything and without a condition."""
    actions = set()
    for statement in found:
        if statement.get("Effect") == effect and is_about_everything(statement) and not statement.get("Condition"):
            named = {key: texts(statement[key]) for key in ("Action", "NotAction") if statement.get(key)}
            actions |= get_actions_from_statement(named)
    return actions


def is_about_everything(statement):
    """Whether a statement allows something on everything, or denies it on everything without an exception."""
    named = texts(statement.get("Resource"))
    if statement.get("Effect") == "Deny":
        return "*" in named
    return "NotResource" in statement or any(map(EVERYTHING.fullmatch, named))


def texts(value):
    return [text for text in items(value) if isinstance(text, str)]
