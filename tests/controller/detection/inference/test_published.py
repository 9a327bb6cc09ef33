"""Rules for CloudTrail such as are published everywhere, and the predicate that each of them has."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import holds
from trapline.detection.inference.spell import spelled

RULES: dict[str, tuple[str, str]] = {
    "root console login": (
        """\
        def detect(record):
            return (
                record.get("event", {}).get("action") == "ConsoleLogin"
                and record.deepget("user_identity.type") == "Root"
                and record.deepget("response.ConsoleLogin", "") == "Success"
            )
        """,
        '(event.action == "ConsoleLogin" and user_identity.type == "Root" and response.ConsoleLogin == '
        '"Success") or event.get("action") raises',
    ),
    "trail tampering, helper with guards": (
        """\
        EVENTS = {"StopLogging", "DeleteTrail", "UpdateTrail"}

        def detect(record):
            if not succeeded(record):
                return False
            return record.deepget("event.action") in EVENTS

        def succeeded(record):
            return not record.deepget("error.code") and not record.deepget("error.message")
        """,
        '(not error.code and not error.message and event.action in ("DeleteTrail", "StopLogging", '
        '"UpdateTrail")) or (not error.code and not error.message and hash(event.action) raises)',
    ),
    "bucket policy, a loop over json": (
        """\
        import json

        def detect(record):
            if record.deepget("event.action") != "PutBucketPolicy":
                return False
            policy = json.loads(record.deepget("aws.request_parameters") or "{}").get("bucketPolicy", {})
            for statement in policy.get("Statement", []):
                if statement.get("Effect") == "Allow" and statement.get("Principal") == "*":
                    return True
            return False
        """,
        'event.action == "PutBucketPolicy"',
    ),
    "caller identity from a tool": (
        """\
        import re
        CLI = re.compile(r"(aws-cli|boto3|Boto3)/[\\d.]+", re.IGNORECASE)

        def detect(record):
            agent = record.deepget("user_agent.original", "")
            return record.deepget("event.action") == "GetCallerIdentity" and CLI.search(agent) is not None
        """,
        '(event.action == "GetCallerIdentity" and re.search("(aws-cli|boto3|Boto3)/[\\\\d.]+", '
        'user_agent.original, re.IGNORECASE)) or (event.action == "GetCallerIdentity" and '
        "user_agent.original is not None and not isinstance(user_agent.original, str))",
    ),
    "a penetration tester's system": (
        """\
        import re
        def detect(record):
            return bool(re.search("kali|parrot|pentoo", record.deepget("user_agent.original", ""), re.I))
        """,
        're.search("kali|parrot|pentoo", user_agent.original, re.IGNORECASE) or (user_agent.original is '
        "not None and not isinstance(user_agent.original, str))",
    ),
    "secrets from outside the office": (
        """\
        ALLOWED = ("10.", "192.168.")
        def detect(record):
            ip = record.deepget("source.address") or ""
            if record.deepget("event.action") not in ("GetSecretValue", "BatchGetSecretValue"):
                return False
            return not ip.startswith(ALLOWED) and not ip.endswith(".amazonaws.com")
        """,
        '(event.action in ("GetSecretValue", "BatchGetSecretValue") and (not '
        'source.address.startswith(("10.", "192.168.")) or not source.address) and (not '
        'source.address.endswith(".amazonaws.com") or not source.address)) or (event.action in '
        '("GetSecretValue", "BatchGetSecretValue") and source.address and not isinstance(source.address,'
        " str))",
    ),
    "root without a service": (
        """\
        def is_root(record):
            return record.deepget("user_identity.type") == "Root" and record.deepget("user_identity.invoked_by") is None

        def detect(record):
            return is_root(record) and record.deepget("event.type") != "AwsServiceEvent"
        """,
        'user_identity.type == "Root" and user_identity.invoked_by is None and event.type != "AwsServiceEvent"',
    ),
    "login at night, by a parsed time": (
        """\
        from datetime import datetime
        def detect(record):
            if record.deepget("event.action") != "ConsoleLogin":
                return False
            hour = datetime.fromisoformat(record.get("ts")).hour
            return hour < 6 or hour > 22
        """,
        'event.action == "ConsoleLogin"',
    ),
    "instances at the weekend, by a timestamp": (
        """\
        def detect(record):
            if record.deepget("event.action") != "RunInstances":
                return False
            when = record.get("ts")
            return when.hour < 6 or when.weekday() >= 5
        """,
        'event.action == "RunInstances"',
    ),
    "deletions, by who did them": (
        """\
        def detect(record):
            arn = record.deepget("user_identity.arn", "")
            name = arn.split("/")[-1]
            return record.deepget("event.action", "").startswith("Delete") and not name.startswith("svc-")
        """,
        'event.action.startswith("Delete") or (user_identity.arn is not None and not '
        "isinstance(user_identity.arn, str)) or (event.action is not None and not "
        "isinstance(event.action, str))",
    ),
    "administrator policy attached": (
        """\
        ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
        def detect(record):
            if record.deepget("event.provider") != "iam.amazonaws.com":
                return False
            if record.deepget("event.action") not in ["AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy"]:
                return False
            return record.deepget("request.policyArn") == ADMIN
        """,
        'event.provider == "iam.amazonaws.com" and event.action in ("AttachUserPolicy", '
        '"AttachRolePolicy", "AttachGroupPolicy") and request.policyArn == '
        '"arn:aws:iam::aws:policy/AdministratorAccess"',
    ),
    "detector deleted, all of a list": (
        """\
        def detect(record):
            return all([
                record.deepget("event.provider") == "guardduty.amazonaws.com",
                record.deepget("event.action", "").lower() in ("deletedetector", "disassociatefrommasteraccount"),
                not record.deepget("error.code"),
            ])
        """,
        '(event.provider == "guardduty.amazonaws.com" and event.action.lower() in ("deletedetector", '
        '"disassociatefrommasteraccount") and not error.code) or event.action.lower() raises',
    ),
    "a table of scores": (
        """\
        SCORES = {"DeleteTrail": 9, "StopLogging": 8, "UpdateTrail": 3}
        def detect(record):
            return SCORES.get(record.deepget("event.action"), 0) >= 5
        """,
        'event.action == "DeleteTrail" or event.action == "StopLogging" or hash(event.action) raises',
    ),
    "chains of keys, and exceptions": (
        """\
        def detect(record):
            try:
                return record["event"]["action"] == "CreateUser" and record["user"]["name"].lower().startswith("tmp")
            except (KeyError, TypeError, AttributeError):
                return False
        """,
        'event.action == "CreateUser" and user.name.lower().startswith("tmp")',
    ),
    "production instances, by tags": (
        """\
        def detect(record):
            tags = record.get("tags") or []
            return "prod" in tags and record.deepget("event.action") == "TerminateInstances"
        """,
        '(tags and "prod" in tags and event.action == "TerminateInstances") or (tags and "prod" in tags raises)',
    ),
    "any case, and a length": (
        """\
        def detect(record):
            action = str(record.deepget("event.action", "")).lower()
            return action in {"deletebucket", "putbucketacl"} and len(record.deepget("user.name", "")) > 0
        """,
        '(isinstance(event.action, str) and event.action.lower() in ("deletebucket", "putbucketacl")) or'
        " (event.action is not None and not isinstance(event.action, str)) or "
        '(((isinstance(event.action, str) and event.action.lower() in ("deletebucket", "putbucketacl")) '
        'or (event.action is not None and not isinstance(event.action, str))) and "" in user.name '
        "raises)",
    ),
    "login from outside a network": (
        """\
        import ipaddress
        OFFICE = ipaddress.ip_network("10.0.0.0/8")
        def detect(record):
            if record.deepget("event.action") != "ConsoleLogin":
                return False
            try:
                return ipaddress.ip_address(record.deepget("source.address")) not in OFFICE
            except ValueError:
                return False
        """,
        'event.action == "ConsoleLogin"',
    ),
    "a score of three signs": (
        """\
        def detect(record):
            risk = 0
            if record.deepget("event.action") == "CreateAccessKey":
                risk += 2
            if record.deepget("user_identity.type") == "Root":
                risk += 3
            if not record.deepget("mfa"):
                risk += 1
            return risk >= 5
        """,
        'user_identity.type == "Root" and event.action == "CreateAccessKey"',
    ),
    "tools in a user agent": (
        """\
        def detect(record):
            ua = record.deepget("user_agent.original", "").lower()
            return any(tool in ua for tool in ["pacu", "scoutsuite", "prowler", "cloudsplaining"])
        """,
        '"pacu" in user_agent.original.lower() or "scoutsuite" in user_agent.original.lower() or '
        '"prowler" in user_agent.original.lower() or "cloudsplaining" in user_agent.original.lower() or '
        "user_agent.original.lower() raises or not isinstance(user_agent.original.lower(), str)",
    ),
    "cases": (
        """\
        def detect(record):
            match record.deepget("event.action"):
                case "DeleteFlowLogs" | "DeleteTrail":
                    return True
                case "UpdateTrail":
                    return record.deepget("request.isMultiRegionTrail") is False
                case _:
                    return False
        """,
        'event.action == "DeleteFlowLogs" or event.action == "DeleteTrail" or (event.action == '
        '"UpdateTrail" and request.isMultiRegionTrail is False)',
    ),
    "assumed roles, by a wildcard": (
        """\
        from fnmatch import fnmatch
        def detect(record):
            role = record.deepget("request.roleArn", "")
            return record.deepget("event.action") == "AssumeRole" and fnmatch(role, "*:role/Admin*")
        """,
        'event.action == "AssumeRole"',
    ),
    "failures, but for a scanner": (
        """\
        FAILED = ["AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation"]
        def detect(record):
            code = record.deepget("error.code")
            if code is None:
                return False
            if code not in FAILED:
                return False
            who = record.deepget("user_identity.arn") or record.deepget("user.name") or "unknown"
            return not who.startswith("arn:aws:sts::123456789012:assumed-role/scanner/")
        """,
        '(error.code in ("AccessDenied", "UnauthorizedOperation", "Client.UnauthorizedOperation") and '
        "((user_identity.arn and not "
        'user_identity.arn.startswith("arn:aws:sts::123456789012:assumed-role/scanner/")) or (not '
        "user_identity.arn and user.name and not "
        'user.name.startswith("arn:aws:sts::123456789012:assumed-role/scanner/")) or (not '
        'user_identity.arn and not user.name))) or (error.code in ("AccessDenied", '
        '"UnauthorizedOperation", "Client.UnauthorizedOperation") and user_identity.arn and not '
        'isinstance(user_identity.arn, str)) or (error.code in ("AccessDenied", "UnauthorizedOperation",'
        ' "Client.UnauthorizedOperation") and not user_identity.arn and user.name and not '
        "isinstance(user.name, str))",
    ),
    "names bound on the way": (
        """\
        def detect(record):
            action, size = record.deepget("event.action"), record.get("bytes", 0)
            if (known := action) and known.startswith("Put") and (large := size) > 10:
                return record.deepget("cloud.region") not in ("eu-west-1", "eu-central-1")
            return False
        """,
        '(event.action and event.action.startswith("Put") and bytes > 10 and cloud.region not in '
        '("eu-west-1", "eu-central-1")) or (event.action and not isinstance(event.action, str)) or '
        '(event.action and event.action.startswith("Put") and bytes > 10 raises)',
    ),
    "a helper of many keys": (
        """\
        def deep_get(record, *keys, default=None):
            out = record
            for key in keys:
                out = out.get(key)
                if out is None:
                    return default
            return out

        def detect(record):
            return deep_get(record, "event", "action") == "CreateUser"
        """,
        '(event is not None and event.action == "CreateUser") or event.get("action") raises',
    ),
    "defaults of defaults": (
        """\
        def detect(record):
            outcome = record.get("event", {}).get("outcome", "unknown")
            session = record.get("session", {}).get("attributes", {})
            login = record["event"]["action"] == "ConsoleLogin" if outcome == "success" else False
            return login and session.get("mfa") == "false"
        """,
        '(event.outcome == "success" and event.action == "ConsoleLogin" and session.attributes.mfa == '
        '"false") or event.get("outcome") raises or session.get("attributes") raises or (event.outcome '
        '== "success" and record["event"] raises) or (event.outcome == "success" and (event["action"] '
        'raises or event is None)) or (event.outcome == "success" and event.action == "ConsoleLogin" and'
        ' session.attributes.get("mfa") raises)',
    ),
    "an open port": (
        """\
        def detect(record):
            parameters = record.get("request") or {}
            cidr = parameters.get("cidrIp", "")
            ports = [22, 3389]
            return cidr == "0.0.0.0/0" and parameters.get("fromPort") in ports
        """,
        '(request and request.cidrIp == "0.0.0.0/0" and request.fromPort in (22, 3389)) or (request and '
        'request.get("cidrIp") raises) or (request and request.cidrIp == "0.0.0.0/0" and '
        'request.get("fromPort") raises)',
    ),
    "public buckets among the resources": (
        """\
        def detect(record):
            for item in record.get("resources") or []:
                if item.get("type") == "AWS::S3::Bucket" and item.get("public"):
                    return record.deepget("event.action") == "PutObject"
            return False
        """,
        "resources",
    ),
    "json in a helper that catches": (
        """\
        import json
        def params(record):
            try:
                return json.loads(record.deepget("aws.request_parameters") or "{}")
            except ValueError:
                return {}
        def detect(record):
            return record.deepget("event.action") == "ModifySnapshotAttribute" and "all" in str(params(record))
        """,
        'event.action == "ModifySnapshotAttribute"',
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_published_rule_leaves_out_what_it_can(name: str) -> None:
    source, expected = RULES[name]
    assert spelled(infer(dedent(source)).predicate) == expected


PACK = Path(__file__).parents[4] / "detections"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in PACK.glob("*/detect.py")))
def test_every_rule_of_the_pack_leaves_out_what_is_of_another_service(name: str) -> None:
    predicate = infer((PACK / name / "detect.py").read_bytes()).predicate
    said = {("event", "provider"): "other.amazonaws.com", ("event", "action"): "Other"}
    assert not holds(predicate, said.get)
