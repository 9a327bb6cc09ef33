"""The calls of the API: what starts a query, how far it is, what stops it."""

from __future__ import annotations

import time
from collections.abc import Callable

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.athena.asking import Asker
from tests.athena.double import REGION

COUNT = "SELECT count(*) AS n FROM logs"


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_the_same_token_is_the_same_query(ask: Asker) -> None:
    token = "token-of-thirty-two-letters-at-least"
    assert ask.start(COUNT, ClientRequestToken=token) == ask.start(COUNT, ClientRequestToken=token)
    assert sum(query.token == token for query in ask.double.queries) == 1
    with pytest.raises(ClientError) as error:
        ask.start("SELECT 1 AS n", ClientRequestToken=token)
    assert refused(error) == ("InvalidRequestException", "Idempotent parameters do not match")
    assert error.value.response["AthenaErrorCode"] == "IDEMPOTENT_PARAMETER_MISMATCH"


def test_more_queries_than_the_limit_are_turned_away_until_one_is_over(ask: Asker) -> None:
    ask.double.faults.stall(times=5)
    running = [ask.start(COUNT) for _ in range(5)]
    with pytest.raises(ask.athena.exceptions.TooManyRequestsException) as error:
        ask.start(COUNT)
    assert error.value.response["Reason"] == "CONCURRENT_QUERY_LIMIT_EXCEEDED"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    for query_id in running:
        ask.athena.stop_query_execution(QueryExecutionId=query_id)
    assert {ask.wait(query_id)["Status"]["State"] for query_id in running} == {"CANCELLED"}
    assert ask.rows(COUNT) == [["48"]]


def test_queries_beyond_those_that_run_are_queued(ask: Asker) -> None:
    ask.double.faults.stall(times=5)
    started = [ask.start(COUNT) for _ in range(5)]
    for query_id in started[:4]:
        ask.wait(query_id, "RUNNING")
    assert ask.described(started[4])["Status"]["State"] == "QUEUED"
    ask.athena.stop_query_execution(QueryExecutionId=started[4])
    assert ask.wait(started[4])["Status"]["State"] == "CANCELLED"
    assert {ask.described(query_id)["Status"]["State"] for query_id in started[:4]} == {"RUNNING"}
    for query_id in started[:4]:
        ask.athena.stop_query_execution(QueryExecutionId=query_id)


def test_a_query_that_works_is_interrupted(ask: Asker) -> None:
    tables = ", ".join(f"logs {alias}" for alias in "abcdefgh")
    endless = ask.start(f"SELECT count(*) AS n FROM {tables} WHERE a.size < h.size")
    while not ask.described(endless)["Statistics"]["DataScannedInBytes"]:
        time.sleep(0.01)
    time.sleep(0.2)  # what is to be read is known; now it is read
    ask.athena.stop_query_execution(QueryExecutionId=endless)
    status = ask.wait(endless)["Status"]
    assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Query cancelled by user")


def test_a_query_that_is_over_stays_what_it_is(ask: Asker) -> None:
    done = ask.run(COUNT)["QueryExecutionId"]
    ask.athena.stop_query_execution(QueryExecutionId=done)
    assert ask.described(done)["Status"]["State"] == "SUCCEEDED"


def test_what_did_not_succeed_has_no_results(ask: Asker) -> None:
    failed = ask.run("SELECT nope FROM logs")["QueryExecutionId"]
    with pytest.raises(ClientError, match="Final query state: FAILED"):
        ask.athena.get_query_results(QueryExecutionId=failed)
    ask.double.faults.stall()
    stalled = ask.start(COUNT)
    with pytest.raises(ClientError, match="Query has not yet finished"):
        ask.athena.get_query_results(QueryExecutionId=stalled)
    ask.athena.stop_query_execution(QueryExecutionId=stalled)
    ask.wait(stalled)
    with pytest.raises(ClientError, match="Could not find results"):
        ask.athena.get_query_results(QueryExecutionId=stalled)


def test_a_query_that_is_none_is_refused_at_once(ask: Asker) -> None:
    with pytest.raises(ClientError) as error:
        ask.start("SELECT event FROM")
    assert error.value.response["AthenaErrorCode"] == "MALFORMED_QUERY"
    with pytest.raises(ClientError) as error:
        ask.start(f"SELECT '{'x' * 262_144}' AS long")
    assert "262144" in refused(error)[1]


def test_an_output_location_is_needed(ask: Asker) -> None:
    with pytest.raises(ClientError) as error:
        ask.start(COUNT, ResultConfiguration={})
    assert "No output location provided" in refused(error)[1]


def test_several_queries_are_described_at_once(ask: Asker) -> None:
    done = ask.run(COUNT)["QueryExecutionId"]
    answer = ask.athena.batch_get_query_execution(QueryExecutionIds=[done, "no-such-query"])
    assert [each["QueryExecutionId"] for each in answer["QueryExecutions"]] == [done]
    assert [each["QueryExecutionId"] for each in answer["UnprocessedQueryExecutionIds"]] == ["no-such-query"]
    with pytest.raises(ClientError) as error:
        ask.athena.get_query_execution(QueryExecutionId="no-such-query")
    assert refused(error)[1] == "QueryExecution no-such-query was not found"


def test_what_is_said_of_a_query(ask: Asker) -> None:
    described = ask.run("SELECT event FROM logs")
    assert described["StatementType"] == "DML"
    assert described["QueryExecutionContext"] == {"Catalog": "awsdatacatalog", "Database": "sec"}
    assert described["Status"]["CompletionDateTime"] >= described["Status"]["SubmissionDateTime"]
    assert described["Statistics"]["TotalExecutionTimeInMillis"] > 0
    assert described["ResultConfiguration"]["OutputLocation"].endswith(f"{described['QueryExecutionId']}.csv")
    assert ask.read(described["ResultConfiguration"]["OutputLocation"]).startswith(b'"event"\n"{id=')


def test_an_answer_is_used_again_for_a_select_and_never_for_an_unload(ask: Asker, target: Callable[[str], str]) -> None:
    reuse = {"ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 60}}}
    sql = "SELECT event AS reused FROM logs"
    first, again = ask.run(sql), ask.run(sql, **reuse)
    assert [each["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"] for each in (first, again)] == [
        False,
        True,
    ]
    assert again["ResultConfiguration"]["OutputLocation"] == first["ResultConfiguration"]["OutputLocation"]
    assert again["Statistics"]["DataScannedInBytes"] == 0 < first["Statistics"]["DataScannedInBytes"]
    ask.run(target(sql))
    assert "HIVE_PATH_ALREADY_EXISTS" in ask.run(target(sql), **reuse)["Status"]["StateChangeReason"]


def test_a_workgroup_enforces_where_results_go_and_how_much_is_scanned(ask: Asker) -> None:
    ask.athena.create_work_group(
        Name="strict",
        Configuration={
            "EnforceWorkGroupConfiguration": True,
            "ResultConfiguration": {"OutputLocation": "s3://results/strict/"},
            "BytesScannedCutoffPerQuery": 10_000_000,
        },
    )
    described = ask.run(COUNT, WorkGroup="strict")
    assert described["ResultConfiguration"]["OutputLocation"].startswith("s3://results/strict/")
    assert ask.athena.list_query_executions(WorkGroup="strict")["QueryExecutionIds"] == [described["QueryExecutionId"]]
    with pytest.raises(ClientError) as error:
        ask.start(COUNT, WorkGroup="missing")
    assert refused(error)[1] == "WorkGroup is not found."


def test_results_come_in_pages(ask: Asker) -> None:
    query_id = ask.run("SELECT size FROM logs")["QueryExecutionId"]
    first = ask.athena.get_query_results(QueryExecutionId=query_id, MaxResults=10)
    rest = ask.athena.get_query_results(QueryExecutionId=query_id, NextToken=first["NextToken"])
    assert [len(page["ResultSet"]["Rows"]) for page in (first, rest)] == [10, 39]
    assert first["ResultSet"]["Rows"][0] == {"Data": [{"VarCharValue": "size"}]}
    assert "NextToken" not in rest


def test_results_are_encrypted_with_the_key_that_is_asked_for(ask: Asker, target: Callable[[str], str]) -> None:
    encryption = {"EncryptionOption": "SSE_KMS", "KmsKey": "alias/results"}
    result = {"OutputLocation": ask.double.output, "EncryptionConfiguration": encryption}
    described = ask.run(target("SELECT ts FROM logs"), ResultConfiguration=result)
    assert described["ResultConfiguration"]["EncryptionConfiguration"] == encryption
    for address in (*ask.manifest(described), described["Statistics"]["DataManifestLocation"]):
        bucket, _, key = address.removeprefix("s3://").partition("/")
        head = ask.double.client("s3").head_object(Bucket=bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/results")


def test_a_role_is_assumed(ask: Asker) -> None:
    role = {"RoleArn": "arn:aws:iam::123456789012:role/reader", "RoleSessionName": "trapline", "ExternalId": "xyz"}
    keys = ask.double.client("sts").assume_role(**role)["Credentials"]
    athena = boto3.client(
        "athena",
        endpoint_url=ask.double.url,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert Asker(ask.double, athena).rows(COUNT) == [["48"]]
