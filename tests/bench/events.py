"""Made-up CloudTrail events as nested records: 34 columns, with the nulls and repetitions that real ones have.

DuckDB makes them, which takes seconds for a million. Each is made of its number alone, so that they are the same
wherever and however often they are made.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trapline.query.sql import instant, string

START = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL = timedelta(milliseconds=250)

RARE = tuple(
    f"{service}.amazonaws.com {action}"
    for service, actions in {
        "iam": "CreateAccessKey CreateUser DeleteUser CreateRole DeleteRole AttachUserPolicy AttachRolePolicy "
        "PutUserPolicy PutRolePolicy UpdateAssumeRolePolicy CreateLoginProfile UpdateLoginProfile DeactivateMFADevice "
        "DeleteVirtualMFADevice AddUserToGroup CreatePolicyVersion SetDefaultPolicyVersion CreateSAMLProvider "
        "UploadServerCertificate DeleteAccountPasswordPolicy",
        "cloudtrail": "StopLogging DeleteTrail UpdateTrail PutEventSelectors CreateTrail",
        "ec2": "RunInstances TerminateInstances AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress "
        "CreateSecurityGroup DeleteFlowLogs ModifyImageAttribute ModifySnapshotAttribute CreateKeyPair ImportKeyPair "
        "CreateNetworkAclEntry ReplaceRoute DisableEbsEncryptionByDefault GetPasswordData CreateInternetGateway",
        "s3": "PutBucketPolicy PutBucketAcl DeleteBucket PutBucketPublicAccessBlock PutBucketLogging "
        "DeleteBucketEncryption PutBucketReplication",
        "kms": "DisableKey ScheduleKeyDeletion PutKeyPolicy CreateGrant",
        "guardduty": "DeleteDetector UpdateDetector CreateIPSet",
        "config": "StopConfigurationRecorder DeleteDeliveryChannel",
        "lambda": "CreateFunction UpdateFunctionCode AddPermission",
        "secretsmanager": "GetSecretValue",
    }.items()
    for action in actions.split()
)
"""What only administrators do, each about once in twenty thousand records."""

_COMMON = {
    "sts.amazonaws.com AssumeRole": 31,
    "ec2.amazonaws.com DescribeInstances": 31,
    "s3.amazonaws.com GetObject": 20,
    "kms.amazonaws.com Decrypt": 16,
    "signin.amazonaws.com ConsoleLogin": 2,
}
_RARE = dict.fromkeys(RARE, 1)
_IDENTITIES = {"AssumedRole": 700, "IAMUser": 250, "AWSService": 49, "Root": 1}
_AGENTS = {
    "aws-sdk-go-v2/1.30.3 os/linux": 1,
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0": 1,
    "Terraform/1.9.5": 1,
}
_REGIONS = {"us-east-1": 1, "eu-central-1": 1}
_ACCOUNT = "'111122223333'"


def events_sql(count: int) -> str:
    """A query for the first `count` events, in their order; the higher the number of one, the later it happened."""
    return f"""
    WITH chosen AS (
        SELECT number,
            if({_dice("rare", 333)} = 0, {_one_of("seldom", _RARE)}, {_one_of("call", _COMMON)}) AS call,
            split_part(call, ' ', 1) AS provider, split_part(call, ' ', 2) AS action,
            regexp_matches(action, '^(AssumeRole|Describe|Get|Decrypt)') AS read_only,
            {_one_of("identity", _IDENTITIES)} AS identity, concat('user-', {_dice("name", 500)}) AS name,
            concat('192.0.2.', {_dice("ip", 256)}) AS ip, {_dice("failed", 25)} = 0 AS failed,
            {_one_of("region", _REGIONS)} AS region, {_one_of("agent", _AGENTS)} AS agent
        FROM range({count}) AS numbers(number)
    )
    SELECT {instant(START)} + number * INTERVAL '{INTERVAL // timedelta(microseconds=1)} microseconds' AS ts,
        {{id: md5(concat('event', number)), kind: 'event', action: action, provider: provider,
          outcome: if(failed, 'failure', 'success'),
          category: if(regexp_matches(provider, '^(sts|iam|signin)'), ['iam', 'authentication'], ['cloud']),
          type: if(read_only, ['info'], ['change', 'creation'])}} AS event,
        {{name: name, id: concat('AIDA', {_id("user")})}} AS user,
        {{address: ip, ip: ip}} AS source,
        {{provider: 'aws', region: region, account: {{id: {_ACCOUNT}}}}} AS cloud,
        {{original: agent}} AS user_agent,
        if(failed, {{code: 'AccessDenied', message: concat(name, ' is not authorized to do ', action)}}, NULL) AS error,
        {{version: '1.3', cipher: 'TLS_AES_128_GCM_SHA256'}} AS tls,
        {{user: [name], ip: [ip]}} AS related,
        {{cloudtrail: {{event_version: '1.09', request_id: md5(concat('request', number)),
          request_parameters: format('{{{{"name": "{{}}", "count": {{}}, "filter": {{{{"state": "running"}}}}}}}}',
            name, number % 100),
          response_elements: if(read_only, NULL,
            format('{{{{"requestId": {{}}, "created": "{{}}"}}}}', number, name)),
          read_only: read_only, management_event: true, recipient_account_id: {_ACCOUNT},
          user_identity: {{type: identity, arn: concat('arn:aws:iam::', {_ACCOUNT}, ':user/', name),
            account_id: {_ACCOUNT}, principal_id: concat('AIDA', upper(name)),
            access_key_id: concat('ASIA', {_id("key")})}}}}}} AS aws
    FROM chosen"""


def _dice(what: str, sides: int) -> str:
    """A number below `sides`, as good as random."""
    return f"hash(concat({string(what)}, number)) % {sides}"


def _one_of(what: str, weights: dict[str, int]) -> str:
    """One of some texts, each as often as its weight says."""
    slots = ", ".join(string(text) for text, weight in weights.items() for _ in range(weight))
    return f"[{slots}][1 + CAST({_dice(what, sum(weights.values()))} AS INTEGER)]"


def _id(what: str) -> str:
    return f"upper(md5(concat({string(what)}, number))[:16])"
