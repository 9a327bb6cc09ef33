"""Who Trapline is at AWS: credentials, an assumed role, and the policy of docs/how-to/connect-athena.md."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pytest

from tests.athena.double import REGION
from tests.controller.query.athena.lake import NOON, Lake
from trapline.detection.inference.reads import Read
from trapline.query.athena.session import clients
from trapline.query.engine import QueryError, ScanRequest, Wanted
from trapline.settings import AthenaSettings
from trapline.window import Window

PAGE = Path(__file__).parents[4] / "docs/how-to/connect-athena.md"
ACCOUNT = "123456789012"
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
OURS = {
    "athena:StartQueryExecution",
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "glue:GetTable",
    "glue:GetPartitions",
    "s3:ListBucket",
    "s3:GetObject",
    "s3:DeleteObject",
}
"""What Trapline asks for itself, and needs for a scan; the rest of the policy is for Athena in its name."""


def policy() -> dict[str, Any]:
    """The page's policy, for the buckets and the database of the tests."""
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for ours, theirs in (("example-lake", "lake"), ("example-results", "results"), ("security", "default")):
        text = text.replace(ours, theirs)
    assert f"{REGION}:{ACCOUNT}" in text
    parsed: dict[str, Any] = json.loads(text)
    for statement in parsed["Statement"]:
        if not statement["Action"][0].startswith("s3:"):
            statement["Resource"] = "*"  # moto knows which object is asked for, not which table or workgroup
        if "s3:DeleteObject" in statement["Action"]:  # S3 asks for it of every object, moto of the bucket
            statement["Resource"] = [statement["Resource"], "arn:aws:s3:::results"]
    return parsed


class Strict:
    """A double that lets nobody do what no policy allows."""

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = lake
        self._double = lake.double
        self._monkeypatch = monkeypatch

    def enforce(self, count: str) -> None:
        """Policies hold after so many calls."""
        url, text = f"{self._double.url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, count.encode(), text)).close()

    def user(self, allowed: dict[str, Any]) -> None:
        """From now on the environment has the keys of somebody with this policy alone."""
        iam = self._double.client("iam")
        iam.create_user(UserName="trapline")
        iam.put_user_policy(UserName="trapline", PolicyName="p", PolicyDocument=json.dumps(allowed))
        key = iam.create_access_key(UserName="trapline")["AccessKey"]
        self._monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        self._monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])

    def role(self, allowed: dict[str, Any]) -> str:
        iam = self._double.client("iam")
        arn: str = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=json.dumps(allowed))
        return arn


@pytest.fixture
def strict(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strict]:
    strict = Strict(lake, monkeypatch)
    rows = pa.table({"ts": [NOON], "event": [{"id": "a"}], "n": [1], "day": ["2026-01-01"]})
    strict.lake.put("t", rows, keys=("day",), partition="day")
    yield strict
    strict.enforce("inf")


def all_that_an_engine_does(lake: Lake, **settings: Any) -> None:
    engine = lake.engine(now=lambda: NOON, **settings)
    request = ScanRequest("t", Window(NOON, NOON.replace(day=2)))
    with engine.scan(request, Wanted(frozenset({Read(("n",), True)}))) as scan:
        (batch,) = scan.batches()
        assert scan.whole(batch.positions)["n"].to_pylist() == [1]
    assert engine.latest("t") == NOON
    assert engine.estimate(request)
    assert engine.schema("t").names == ["ts", "event", "n"]


def test_the_policy_of_the_page_suffices(strict: Strict, caplog: pytest.LogCaptureFixture) -> None:
    strict.user(policy())
    strict.enforce("0")
    all_that_an_engine_does(strict.lake)
    assert caplog.text == ""
    strict.enforce("inf")
    assert strict.lake.left() == []


@pytest.mark.parametrize("action", sorted(OURS))
def test_nothing_in_the_policy_can_be_left_out(strict: Strict, action: str, caplog: pytest.LogCaptureFixture) -> None:
    allowed = policy()
    for statement in allowed["Statement"]:
        assert isinstance(statement["Action"], list)
        statement["Action"] = [each for each in statement["Action"] if each != action] or ["none:None"]
    strict.user(allowed)
    strict.enforce("0")
    if action == "s3:DeleteObject":
        all_that_an_engine_does(strict.lake)
        assert "is not removed" in caplog.text
        return
    with pytest.raises(QueryError) as caught:
        all_that_an_engine_does(strict.lake)
    assert caught.value.code == "permissions"
    assert "connect-athena.md" in caught.value.remedy


def test_a_role_is_assumed_with_what_the_environment_has(strict: Strict) -> None:
    assuming = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    role = strict.role(policy())
    strict.user({"Version": "2012-10-17", "Statement": [assuming]})
    strict.enforce("0")
    all_that_an_engine_does(strict.lake, role=role, external_id="x-1")
    with pytest.raises(QueryError) as caught:
        all_that_an_engine_does(strict.lake)
    assert caught.value.code == "permissions"


def test_a_role_is_assumed_with_its_external_id(strict: Strict, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto does not mind the condition of a trust policy, so that what is sent is looked at."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(QueryError) as caught:
            strict.lake.engine(role=f"arn:aws:iam::{ACCOUNT}:role/reader", external_id="x-1").schema("t")
        server.shutdown()
    assert caught.value.code == "unreachable"  # it answers with a page, as proxies do
    assert {"Action=AssumeRole", "ExternalId=x-1"} <= set(asked[0].split("&"))


def test_a_role_is_renewed_before_its_hour_is_over(strict: Strict) -> None:
    made = clients(AthenaSettings(output="s3://results/", role=strict.role(policy())))
    made.athena.list_query_executions()
    credentials = made.athena._request_signer._credentials
    assert credentials.method == "trapline-assume-role"
    assert credentials.refresh_needed() is False
    assert credentials.refresh_needed(refresh_in=2 * 3600)


def test_a_role_without_credentials_to_assume_it_with(strict: Strict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(QueryError, match="there are no credentials") as caught:
        strict.lake.engine(role=f"arn:aws:iam::{ACCOUNT}:role/reader")
    assert caught.value.code == "unreachable"


def test_without_a_region_that_is_told(strict: Strict, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(QueryError, match="region") as caught:
        strict.lake.engine()
    assert caught.value.code == "unreachable"
    all_that_an_engine_does(strict.lake, region=REGION)
