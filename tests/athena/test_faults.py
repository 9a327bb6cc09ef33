"""What the double is told to do wrong."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.athena.asking import Asker
from tests.athena.double import REGION
from tests.athena.errors import FAILURES
from tests.athena.faults import Fault

COUNT = "SELECT count(*) AS n FROM logs"


@pytest.fixture
def impatient(ask: Asker) -> Asker:
    """Asks each thing once, whatever the answer."""
    return Asker(ask.double, _client(ask, "athena", attempts=1))


@pytest.fixture
def patient(ask: Asker) -> Asker:
    """Asks again, as boto3 does by default."""
    return Asker(ask.double, _client(ask, "athena", attempts=3))


def _client(ask: Asker, service: str, *, attempts: int) -> Any:
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, endpoint_url=ask.double.url, region_name=REGION, config=config, **keys)


def test_calls_are_throttled_so_often(impatient: Asker) -> None:
    impatient.double.faults.throttle("GetQueryExecution", times=2)
    impatient.double.faults.throttle(code="TooManyRequestsException")
    with pytest.raises(impatient.athena.exceptions.TooManyRequestsException):
        impatient.start(COUNT)
    query_id = impatient.start(COUNT)
    for _ in range(2):
        with pytest.raises(ClientError, match="Rate exceeded") as error:
            impatient.described(query_id)
        assert error.value.response["Error"]["Code"] == "ThrottlingException"
    assert impatient.wait(query_id)["Status"]["State"] == "SUCCEEDED"


def test_the_server_fails(impatient: Asker) -> None:
    impatient.double.faults.server_error()
    with pytest.raises(ClientError) as error:
        impatient.start(COUNT)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert impatient.rows(COUNT) == [["48"]]


def test_an_answer_that_is_lost_starts_no_second_query(patient: Asker) -> None:
    before = len(patient.double.queries)
    patient.double.faults.lose_answer()
    query_id = patient.start(COUNT)
    assert [query.id for query in patient.double.queries[before:]] == [query_id]


def test_calls_of_s3_go_wrong_too(ask: Asker) -> None:
    s3 = _client(ask, "s3", attempts=1)
    ask.double.faults.throttle("ListObjectsV2")
    with pytest.raises(ClientError, match="SlowDown"):
        s3.list_objects_v2(Bucket="lake")
    ask.double.faults.server_error("GetObject")
    key = s3.list_objects_v2(Bucket="lake")["Contents"][0]["Key"]
    with pytest.raises(ClientError, match="500"):
        s3.get_object(Bucket="lake", Key=key)
    assert ask.double.faults.pending == []


@pytest.mark.parametrize("name", FAILURES)
def test_queries_fail_as_they_do_in_athena(ask: Asker, name: str) -> None:
    ask.double.faults.fail(name, matching="size")
    assert ask.rows(COUNT) == [["48"]]
    status = ask.run("SELECT size FROM logs")["Status"]
    assert (status["State"], status["AthenaError"]) == ("FAILED", FAILURES[name].as_dict())
    assert ask.rows("SELECT count(size) AS n FROM logs") == [["48"]]


def test_a_query_stalls(ask: Asker) -> None:
    ask.double.faults.stall(0.3)
    began = time.monotonic()
    assert ask.rows(COUNT) == [["48"]]
    assert time.monotonic() - began > 0.3


def test_a_query_is_cut_off_by_the_bytes_that_it_scans(ask: Asker) -> None:
    ask.double.faults.cut_off()
    described = ask.run("SELECT event FROM logs")
    assert described["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in described["Status"]["StateChangeReason"]
    assert described["Statistics"]["DataScannedInBytes"] > 0


def test_what_has_not_happened_is_told_and_forgotten(ask: Asker) -> None:
    ask.double.faults.fail(times=2)
    ask.run(COUNT)
    assert ask.double.faults.pending == [Fault("fail", 1)]
    ask.double.faults.clear()
    assert ask.double.faults.pending == []


@pytest.mark.parametrize("entry", [{"kind": "explode"}, {"kind": "fail", "failure": "boredom"}, {"sort": "fail"}])
def test_what_is_no_fault_is_refused(entry: dict[str, str]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Fault.read(entry)
