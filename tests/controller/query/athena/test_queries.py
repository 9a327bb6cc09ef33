"""Queries over the double: started once, waited for, stopped, told apart where they fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pyarrow as pa
import pytest

from tests.athena.double import AthenaDouble, athena_double
from tests.controller.query.athena.lake import NOON, Lake, quickly
from trapline.query.athena.queries import PATIENCE, Pace, Slots
from trapline.query.engine import QueryError, ScanRequest, Wanted
from trapline.window import Window

ROWS = pa.table({"ts": [NOON] * 3, "n": [1, 2, 3]})


@pytest.fixture
def lake(lake: Lake) -> Lake:
    lake.put("t", ROWS)
    return lake


def read(lake: Lake, **settings: object) -> int:
    with lake.scan(**settings) as scan:
        return sum(batch.records.num_rows for batch in scan.batches())


def failure(lake: Lake, **settings: object) -> QueryError:
    with pytest.raises(QueryError) as caught:
        read(lake, **settings)
    assert caught.value.remedy
    return caught.value


def ended(lake: Lake) -> list[str]:
    """The states of the queries, once none runs any more."""
    for _ in range(200):
        states = [query.state for query in lake.double.queries]
        if not {"QUEUED", "RUNNING"} & set(states):
            break
        time.sleep(0.02)
    return states


@pytest.mark.parametrize(
    ("made", "code", "words", "queries"),
    [
        ("syntax", "syntax", "SYNTAX_ERROR: line 1:8", 1),
        ("permissions", "permissions", "Access Denied", 1),
        ("internal", "internal", "GENERIC_INTERNAL_ERROR", 3),
        ("slow-down", "throttled", "reduce your request rate", 3),
        ("exhausted", "internal", "exhausted resources", 1),
        ("timeout", "timeout", "Query timeout", 1),
    ],
)
def test_each_failure_has_its_code(lake: Lake, made: str, code: str, words: str, queries: int) -> None:
    lake.double.faults.fail(made, times=3)
    error = failure(lake)
    assert (error.code, len(lake.double.queries)) == (code, queries)
    assert words in error.message
    assert f"table t, Athena's query {lake.double.queries[-1].id}" in error.message
    assert lake.left() == []


def test_what_passes_is_tried_again_with_another_token_and_another_place(lake: Lake) -> None:
    lake.double.faults.fail("internal", times=2)
    assert read(lake) == 3
    queries = lake.double.queries
    assert [query.state for query in queries] == ["FAILED", "FAILED", "SUCCEEDED"]
    assert len({query.token for query in queries}) == len({query.sql for query in queries}) == 3
    assert lake.left() == []


def test_bytes_of_queries_that_failed_count(lake: Lake) -> None:
    lake.double.faults.fail("internal", times=1)
    with lake.scan() as scan:
        list(scan.batches())
    assert scan.queries == 2
    assert scan.bytes_scanned == sum(query.bytes for query in lake.double.queries)


def test_more_than_the_workgroups_limit_is_cut_off(lake: Lake) -> None:
    lake.double.faults.cut_off()
    error = failure(lake)
    assert error.code == "cut-off"
    assert "ytes scanned limit" in error.message
    assert "workgroup" in error.remedy


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("StartQueryExecution", "ThrottlingException"),
        ("StartQueryExecution", "TooManyRequestsException"),
        ("GetQueryExecution", "ThrottlingException"),
    ],
)
def test_who_is_throttled_waits(lake: Lake, operation: str, code: str) -> None:
    lake.double.faults.throttle(operation, times=4, code=code)
    assert read(lake) == 3
    assert len(lake.double.queries) == 1


def test_who_is_throttled_for_longer_than_the_timeout_is_told(lake: Lake) -> None:
    lake.double.faults.throttle(times=1000)
    error = failure(lake, timeout="0.3s")
    assert error.code == "throttled"
    assert "athena.concurrency" in error.remedy


@pytest.mark.parametrize("operation", ["StartQueryExecution", "GetQueryExecution"])
def test_errors_of_the_service_are_passed_over(lake: Lake, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.double.faults.server_error(operation)
    assert failure(lake).code == "internal"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    lake.double.faults.server_error(operation)
    assert read(lake, timeout="30s") == 3


def test_an_answer_that_was_lost_starts_no_second_query(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    lake.double.faults.lose_answer()
    assert read(lake, timeout="30s") == 3
    assert len(lake.double.queries) == 1


def test_a_query_that_takes_too_long_is_cancelled(lake: Lake) -> None:
    lake.double.faults.stall()
    error = failure(lake, timeout="0.4s")
    assert error.code == "timeout"
    assert "it did not end within 0.4s (table t, " in error.message
    assert "athena.timeout" in error.remedy
    assert ended(lake) == ["CANCELLED"]


def test_the_timeout_is_by_the_clock_that_is_handed_in(lake: Lake) -> None:
    at = iter(range(0, 100_000, 60))
    lake.double.faults.stall()
    assert failure(lake, timeout="30m", pace=Pace(lambda: next(at), quickly)).code == "timeout"
    assert ended(lake) == ["CANCELLED"]


def running(lake: Lake) -> None:
    for _ in range(250):
        if any(query.state == "RUNNING" for query in lake.double.queries):
            return
        time.sleep(0.02)
    raise AssertionError("no query runs")


def test_leaving_a_scan_stops_its_query(lake: Lake) -> None:
    lake.double.faults.stall()
    with ThreadPoolExecutor(1) as thread, lake.scan() as scan:
        coming = thread.submit(list, scan.batches())
        running(lake)
        scan.close()
        with pytest.raises(QueryError) as caught:
            coming.result()
    assert caught.value.code == "cancelled"
    assert ended(lake) == ["CANCELLED"]
    assert lake.left() == []


def test_closing_the_engine_stops_every_query(lake: Lake) -> None:
    engine, request = lake.engine(), ScanRequest("t", Window(NOON, NOON + timedelta(days=1)))
    lake.double.faults.stall(times=2)

    def scan() -> None:
        with engine.scan(request) as scan:
            list(scan.batches())

    with ThreadPoolExecutor(2) as threads:
        scans = [threads.submit(scan) for _ in range(2)]
        running(lake)
        engine.close()
        for each in scans:
            with pytest.raises(QueryError) as caught:
                each.result()
            assert caught.value.code == "cancelled"
    assert set(ended(lake)) == {"CANCELLED"}
    with pytest.raises(QueryError, match="not waited for"):
        scan()


def test_a_scan_can_be_cancelled_while_its_results_are_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trapline.query.batches.BATCH_ROWS", 1)
    monkeypatch.setattr("trapline.query.athena.store.BATCH_ROWS", 1)
    with lake.scan() as scan:
        batches = scan.batches()
        assert next(batches).records.num_rows == 1
        scan.cancel()
        with pytest.raises(QueryError, match="the scan was left") as caught:
            next(batches)
    assert caught.value.code == "cancelled"
    assert lake.left() == []


def test_a_query_that_somebody_cancelled_is_told(lake: Lake) -> None:
    lake.double.faults.stall()
    with ThreadPoolExecutor(1) as thread, lake.scan() as scan:
        coming = thread.submit(list, scan.batches())
        running(lake)
        lake.double.client("athena").stop_query_execution(QueryExecutionId=lake.double.queries[0].id)
        with pytest.raises(QueryError) as caught:
            coming.result()
    assert caught.value.code == "cancelled"


@pytest.mark.parametrize("operation", ["StartQueryExecution", "GetQueryExecution"])
def test_a_few_lost_answers_are_asked_for_again(lake: Lake, operation: str) -> None:
    lake.double.faults.lose_answer(operation, times=PATIENCE - 1)
    with lake.scan() as scan:
        assert sum(batch.records.num_rows for batch in scan.batches()) > 0
    assert len(lake.double.queries) == 1


def test_what_cannot_be_reached_is_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    error = failure(lake, region="eu-west-1")
    assert error.code == "unreachable"
    assert "127.0.0.1:9" in error.message


def test_without_credentials_that_is_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    error = failure(lake, region="eu-west-1")
    assert error.code == "unreachable"
    assert "there are no credentials" in error.message


def test_no_more_queries_at_once_than_are_allowed(make_lake: Callable[[AthenaDouble], Lake]) -> None:
    with athena_double(concurrency=3) as double:
        lake = make_lake(double)
        lake.put("t", ROWS)
        engine, request = lake.engine(concurrency=3), ScanRequest("t", Window(NOON, NOON + timedelta(days=1)))

        def scan(_: int) -> int:
            with engine.scan(request) as scan:
                return sum(batch.records.num_rows for batch in scan.batches())

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(scan, range(6))) == [3] * 6
        assert [query.state for query in double.queries] == ["SUCCEEDED"] * 6


def test_turns_go_by_who_came_first() -> None:
    slots, order, stop = Slots(1), list[int](), Event()

    def take(number: int) -> None:
        with slots.one(stop):
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with slots.one(stop):
        for number, thread in enumerate(threads):
            thread.start()
            while len(slots._queue) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_who_waits_for_a_turn_can_be_stopped_and_gives_it_up() -> None:
    slots, stop = Slots(1), Event()
    with slots.one(Event()), ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(slots.one(stop).__enter__)
        stop.set()
        with pytest.raises(QueryError, match="not waited for"):
            waiting.result()
    with slots.one(Event()):
        pass


def test_pauses_grow_to_a_limit_and_end_with_the_time() -> None:
    waits: list[float] = []
    pace = Pace(lambda: sum(waits), lambda _, seconds: waits.append(seconds))
    for _ in pace.pauses(Event(), 60):
        pass
    assert 0.2 <= waits[0] <= 0.3
    assert max(waits) <= 6
    assert waits[:5] == sorted(waits[:5]) or waits[0] < waits[4]
    assert sum(waits) == pytest.approx(60)


def test_leftovers_of_a_controller_that_was_killed_are_removed_at_the_next_start(lake: Lake) -> None:
    s3 = lake.double.client("s3")
    for key in ("athena/trapline/h1/old/0/0/x", "athena/trapline/h2/old/0/0/x", "athena/other"):
        s3.put_object(Bucket="results", Key=key, Body=b"x")
    read(lake)
    assert len(lake.left()) == 3  # young enough that somebody may still read it
    engine = lake.engine(now=lambda: datetime.now(UTC) + timedelta(days=2))
    for _ in range(2):
        with engine.scan(ScanRequest("t", Window(NOON, NOON + timedelta(days=1))), Wanted()):
            assert lake.left() == ["athena/other", "athena/trapline/h2/old/0/0/x"]


def test_what_cannot_be_removed_does_not_spoil_the_scan(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise QueryError("permissions", "AccessDenied")

    monkeypatch.setattr("trapline.query.athena.store.Store.remove", refuse)
    assert read(lake) == 3
    assert "is not removed: AccessDenied" in caplog.text


def test_the_settings_reach_athena(lake: Lake) -> None:
    athena, kms = lake.double.client("athena"), lake.double.client("kms")
    lake.put("t", ROWS, database="default")
    athena.create_work_group(Name="detections", Configuration={"EnforceWorkGroupConfiguration": False})
    key = kms.create_key()["KeyMetadata"]["Arn"]
    with lake.scan(workgroup="detections", kms_key=key, database="other") as scan:
        list(scan.batches())
        (first, *_) = lake.left()
    told = athena.get_query_execution(QueryExecutionId=scan.query_id)["QueryExecution"]
    assert told["WorkGroup"] == "detections"
    assert told["QueryExecutionContext"]["Database"] == "other"
    assert told["ResultConfiguration"]["EncryptionConfiguration"] == {"EncryptionOption": "SSE_KMS", "KmsKey": key}
    assert told["ResultConfiguration"]["OutputLocation"].startswith("s3://results/athena/trapline/h1/")
    assert first.startswith("athena/trapline/h1/")
