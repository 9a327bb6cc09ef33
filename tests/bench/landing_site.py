"""What the benchmarks of real time share: S3 and SQS on a socket, deliveries of CloudTrail's, and a controller that
listens to them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pyarrow.parquet as pq
import sqlalchemy as sa
import yaml

from tests.aws import CREDENTIALS
from tests.bench import rules
from tests.bench.ground import answers, free_port, ground, need_docker, remove_builds, service, until
from trapline.config.files import File
from trapline.state.database import Database
from trapline.state.schema import alerts, deliveries, deployments, streams
from trapline.tables.cloudtrail import SCHEMA

RECORDS = 300
"""Of each object."""

_AT_ONCE = 10
_ACCOUNT = "111122223333"
_CALLS = (
    "sts AssumeRole",
    "ec2 DescribeInstances",
    "s3 GetObject",
    "kms Decrypt",
    "logs CreateLogStream",
    "iam GetRole",
    "dynamodb DescribeTable",
)


@dataclass(frozen=True, slots=True)
class Landing:
    """A bucket, the queue that is told of it, and the state of a controller that listens to it."""

    database: Database
    queue: str
    s3: Any
    sqs: Any

    def put(self, key: str, body: bytes) -> Mapping[str, Any]:
        """Puts an object; what S3 tells of it."""
        self.s3.put_object(Bucket="lake", Key=key, Body=body)
        found = {"bucket": {"name": "lake"}, "object": {"key": key, "size": len(body), "sequencer": "1"}}
        return {
            "eventName": "ObjectCreated:Put",
            "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "s3": found,
        }

    def tell(self, told: Sequence[Mapping[str, Any]]) -> None:
        """A message for each, as S3 sends them."""
        for start in range(0, len(told), _AT_ONCE):
            some = told[start : start + _AT_ONCE]
            entries = [{"Id": str(at), "MessageBody": json.dumps({"Records": [one]})} for at, one in enumerate(some)]
            self.sqs.send_message_batch(QueueUrl=self.queue, Entries=entries)

    def count(self, rows: sa.Table) -> int:
        """How many there are."""
        with self.database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one())

    def delivered(self) -> dict[str, str]:
        """Whose deed each delivery that was sent is about, by its id."""
        query = sa.select(deliveries.c.id, alerts.c.dedupe).join(alerts, alerts.c.id == deliveries.c.alert_id)
        with self.database.reading() as connection:
            return dict(connection.execute(query.where(deliveries.c.settled_at.is_not(None))).all())


@contextmanager
def landing(webhook: str, *, detections: int) -> Iterator[Landing]:
    """With Docker, every worker warm, and every alert told to the webhook."""
    need_docker()
    with _serving_aws() as url, ground() as made, ExitStack() as ends:
        clients = {name: boto3.client(name, endpoint_url=url, **_credentials()) for name in ("s3", "sqs")}
        s3, sqs = clients["s3"], clients["sqs"]
        s3.create_bucket(
            Bucket="lake", CreateBucketConfiguration={"LocationConstraint": CREDENTIALS["AWS_DEFAULT_REGION"]}
        )
        queue = str(sqs.create_queue(QueueName="landed")["QueueUrl"])
        (made.home / "events").mkdir(parents=True)
        pq.write_table(SCHEMA.empty_table(), made.home / "events" / "empty.parquet")
        made.write(_files(queue, webhook, detections))
        made.commit()
        made.push()
        ends.callback(remove_builds, made, sandbox="docker")
        ends.enter_context(service(made, sandbox="docker", env={**CREDENTIALS, "AWS_ENDPOINT_URL": url}))
        database = ends.enter_context(closing(Database.in_home(made.home)))
        site = Landing(database, queue, s3, sqs)
        until(lambda: _is_ready(database, detections), every=0.2)
        site.tell([site.put("first", delivery("first"))])
        until(lambda: "first" in site.delivered().values(), every=0.2)
        yield site


def delivery(who: str) -> bytes:
    """An object of CloudTrail's, of events of this moment; one of them is what the first detection looks for."""
    provider, action = rules.RARE[0].split(".amazonaws.com ")
    events = [_event(number, *_CALLS[number % len(_CALLS)].split()) for number in range(RECORDS - 1)]
    identity = {"type": "IAMUser", "userName": who, "accountId": _ACCOUNT, "principalId": "AIDAEXAMPLE"}
    events.append({**_event(RECORDS, provider, action), "userIdentity": identity, "readOnly": False})
    return gzip.compress(json.dumps({"Records": events}).encode(), 6)


def _event(number: int, provider: str, action: str) -> dict[str, Any]:
    role = f"role-{number % 40}"
    arn = f"arn:aws:sts::{_ACCOUNT}:assumed-role/{role}/session-{number}"
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{_ACCOUNT}:role/{role}", "accountId": _ACCOUNT, "userName": role}
    return {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE:session-{number}",
            "arn": arn,
            "accountId": _ACCOUNT,
            "accessKeyId": f"ASIA{number:016}",
            "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}},
        },
        "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{provider}.amazonaws.com",
        "eventName": action,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": f"192.0.2.{number % 256}",
        "userAgent": "aws-sdk-go-v2/1.30.3 os/linux",
        "requestParameters": {"name": f"thing-{number}", "filter": {"state": "running"}},
        "responseElements": None,
        "requestID": uuid.uuid4().hex,
        "eventID": uuid.uuid4().hex,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": _ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256"},
    }


def _files(queue: str, webhook: str, detections: int) -> dict[str, File]:
    stream = {"type": "s3-events", "queue": queue, "format": "cloudtrail"}
    settings = {
        "tables": {"events": {"path": "events", "stream": stream}},
        "destinations": {"webhook": {"type": "webhook", "url": webhook}},
        "default_destinations": ["webhook"],
        "alerts": {"storm": 100_000},
        "prune": {"rollbacks": 0},
    }
    config = {"enabled": True, "realtime": True, "tables": ["events"]}
    files = {"trapline.yml": yaml.safe_dump(settings)}
    for number, source in enumerate(rules.understood(detections)):
        files[f"detections/rule_{number}/detect.py"] = source
        files[f"detections/rule_{number}/detection.yml"] = yaml.safe_dump({"name": f"rule_{number}", **config})
    return {path: File(content=text.encode()) for path, text in files.items()}


def _is_ready(database: Database, detections: int) -> bool:
    """Whether so many are live, and the stream is heard."""
    with database.reading() as connection:
        live = connection.execute(sa.select(sa.func.count()).select_from(deployments)).scalar_one()
        heard = connection.execute(sa.select(streams.c.table_name).where(streams.c.trouble == "")).first()
    return live == detections and heard is not None


def _credentials() -> dict[str, str]:
    return {
        "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        "region_name": CREDENTIALS["AWS_DEFAULT_REGION"],
    }


@contextmanager
def _serving_aws() -> Iterator[str]:
    """moto in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # a line for each request
    )
    try:
        until(lambda: answers(port), every=0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
