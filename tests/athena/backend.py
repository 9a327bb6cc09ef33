"""Athena's API on top of moto's, with queries that run. What is not here is as moto has it."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from moto.athena import urls
from moto.athena.models import AthenaBackend, athena_backends
from moto.athena.responses import AthenaResponse

from tests.athena.catalog import Catalog
from tests.athena.errors import MalformedQuery
from tests.athena.queries import Asked, Queries, Query

Answer = str | tuple[str, dict[str, int]]

LONGEST = 262_144
"""The bytes of the longest query that Athena takes."""

NO_OUTPUT = (  # with two blanks, as Athena has it
    "No output location provided. You did not provide an output location for  your query results. Either specify an S3 "
    "bucket location or enable Athena managed query results in your workgroup settings."
)
LIMIT_REACHED = (
    "You have exceeded the limit for the number of queries you can run concurrently. Please reduce the number of "
    "concurrent queries submitted by this account. Contact customer support to request a concurrent query limit "
    "increase."
)


class Refused(Exception):
    """A call that Athena answers with an error."""

    def __init__(self, message: str, reason: str = "INVALID_INPUT", *, code: str = "InvalidRequestException") -> None:
        super().__init__(message)
        told = "Reason" if code == "TooManyRequestsException" else "AthenaErrorCode"
        self.answer: Answer = json.dumps({"__type": code, "Message": message, told: reason}), {"status": 400}


class Backend(AthenaBackend):
    """moto makes one for each account and region; the queries are the double's."""

    queries: ClassVar[Queries]
    limit: ClassVar[int]

    @property
    def _url_module(self) -> Any:
        return urls


class Response(AthenaResponse):
    """The calls that have to do with queries."""

    def start_query_execution(self) -> Answer:
        """Starts a query, or finds the one that was started with the same token."""
        queries = Backend.queries
        try:
            asked = self._asked()
            with queries.lock:
                before = self._started_before(asked)
                if before is not None:
                    return json.dumps({"QueryExecutionId": before.id})
                if queries.active >= Backend.limit:
                    raise Refused(LIMIT_REACHED, "CONCURRENT_QUERY_LIMIT_EXCEEDED", code="TooManyRequestsException")
                query = queries.start(asked, self._catalog)
        except MalformedQuery as error:
            return Refused(str(error), "MALFORMED_QUERY").answer
        except Refused as refused:
            return refused.answer
        return json.dumps({"QueryExecutionId": query.id})

    def get_query_execution(self) -> Answer:
        """How far a query is."""
        try:
            return json.dumps({"QueryExecution": _described(self._query())})
        except Refused as refused:
            return refused.answer

    def batch_get_query_execution(self) -> Answer:
        """How far up to 50 queries are."""
        ids = self._get_param("QueryExecutionIds")
        if len(ids) > 50:
            return Refused("A batch holds up to 50 queries").answer
        found = {query_id: Backend.queries.get(query_id) for query_id in ids}
        unknown = [
            {
                "QueryExecutionId": query_id,
                "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                "ErrorMessage": _unknown(query_id),
            }
            for query_id, query in found.items()
            if query is None
        ]
        described = [_described(query) for query in found.values() if query is not None]
        return json.dumps({"QueryExecutions": described, "UnprocessedQueryExecutionIds": unknown})

    def stop_query_execution(self) -> Answer:
        """Cancels a query."""
        try:
            Backend.queries.stop(self._query())
        except Refused as refused:
            return refused.answer
        return "{}"

    def list_query_executions(self) -> Answer:
        """The ids of a workgroup's queries, the last first."""
        workgroup = self._get_param("WorkGroup") or "primary"
        ids = [query.id for query in Backend.queries.all() if query.asked.workgroup == workgroup]
        first = int(self._get_param("NextToken") or 0)
        last = first + int(self._get_param("MaxResults") or 50)
        more = {"NextToken": str(last)} if last < len(ids) else {}
        return json.dumps({"QueryExecutionIds": ids[::-1][first:last], **more})

    def get_query_results(self) -> Answer:
        """The rows of a SELECT; the first of the first page are the names of the columns."""
        try:
            query = self._query()
            _check_results(query)
        except Refused as refused:
            return refused.answer
        rows = query.rows or []
        first = int(self._get_param("NextToken") or 0)
        last = first + int(self._get_param("MaxResults") or 1000)
        more = {"NextToken": str(last)} if last < len(rows) else {}
        columns = [_column_info(name, kind) for name, kind in query.types]
        data = [{"Data": [{} if value is None else {"VarCharValue": value} for value in row]} for row in rows]
        result = {"Rows": data[first:last], "ResultSetMetadata": {"ColumnInfo": columns}}
        return json.dumps({"UpdateCount": 0, "ResultSet": result, **more})

    @property
    def _catalog(self) -> Catalog:
        return Catalog(self.current_account, self.region, f"http://{self.headers['Host']}")

    def _query(self) -> Query:
        query_id = self._get_param("QueryExecutionId")
        query = Backend.queries.get(query_id)
        if query is None:
            raise Refused(_unknown(query_id), "QUERY_EXECUTION_NOT_FOUND")
        return query

    def _asked(self) -> Asked:
        """What is asked for, where the workgroup's settings come before the caller's if it enforces them."""
        text: str = self._get_param("QueryString")
        if len(text.encode()) > LONGEST:
            raise Refused(
                "1 validation error detected: Value at 'queryString' failed to satisfy constraint: "
                f"Member must have length less than or equal to {LONGEST}"
            )
        name = self._get_param("WorkGroup") or "primary"
        group = self.athena_backend.get_work_group(name)
        if group is None:
            raise Refused("WorkGroup is not found.")
        if group["State"] != "ENABLED":
            raise Refused("WorkGroup is disabled.")
        settings = group["Configuration"]
        own, theirs = settings.get("ResultConfiguration") or {}, self._get_param("ResultConfiguration") or {}
        result = own if settings["EnforceWorkGroupConfiguration"] else {**own, **theirs}
        if not result.get("OutputLocation"):
            raise Refused(NO_OUTPUT)
        if not result["OutputLocation"].startswith("s3://"):
            raise Refused("outputLocation is not a valid S3 path.")
        context = self._get_param("QueryExecutionContext") or {}
        encryption = result.get("EncryptionConfiguration")
        return Asked(
            text,
            result["OutputLocation"],
            workgroup=name,
            catalog=context.get("Catalog", "AwsDataCatalog"),
            database=context.get("Database", "default"),
            token=self._get_param("ClientRequestToken"),
            cutoff=settings.get("BytesScannedCutoffPerQuery"),
            kms_key=(encryption or {}).get("KmsKey"),
            encryption=encryption,
            reuse=self._reuse(),
        )

    def _reuse(self) -> float | None:
        """The seconds for which an answer may be used again."""
        by_age = (self._get_param("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration") or {}
        return 60.0 * int(by_age.get("MaxAgeInMinutes", 60)) if by_age.get("Enabled") else None

    def _started_before(self, asked: Asked) -> Query | None:
        """The query of the same token. Raises Refused where another was asked for with it."""
        same = [query for query in Backend.queries.all() if asked.token and query.asked.token == asked.token]
        if same and _compared(same[0].asked) != _compared(asked):
            raise Refused("Idempotent parameters do not match", "IDEMPOTENT_PARAMETER_MISMATCH")
        return same[0] if same else None


def install(queries: Queries, *, limit: int) -> None:
    """Puts this in the place of moto's own Athena, in this process."""
    Backend.queries, Backend.limit = queries, limit
    athena_backends.backend = Backend
    urls.url_paths = {"{0}/$": Response.dispatch}


def _compared(asked: Asked) -> tuple[str, str, str]:
    """What must be the same for one token."""
    return asked.text, asked.database, asked.output


def _check_results(query: Query) -> None:
    """Raises Refused where there are no rows to be had."""
    if query.state == "CANCELLED":
        raise Refused("Could not find results", "RESULT_NOT_FOUND")
    if query.state == "FAILED":
        raise Refused("Query did not finish successfully. Final query state: FAILED", "INVALID_QUERY_EXECUTION_STATE")
    if not query.over:
        raise Refused(f"Query has not yet finished. Current state: {query.state}", "INVALID_QUERY_EXECUTION_STATE")


def _unknown(query_id: str) -> str:
    return f"QueryExecution {query_id} was not found"


def _described(query: Query) -> dict[str, Any]:
    """A query as GetQueryExecution gives it."""
    asked = query.asked
    status: dict[str, Any] = {"State": query.state, "SubmissionDateTime": query.submitted}
    if query.ended is not None:
        status["CompletionDateTime"] = query.ended
    if query.reason is not None:
        status["StateChangeReason"] = query.reason
    if query.error is not None:
        status["AthenaError"] = query.error.as_dict()
    result: dict[str, Any] = {"OutputLocation": query.output}
    if asked.encryption:
        result["EncryptionConfiguration"] = asked.encryption
    reuse: dict[str, Any] = {"Enabled": asked.reuse is not None}
    if asked.reuse is not None:
        reuse["MaxAgeInMinutes"] = int(asked.reuse // 60)
    return {
        "QueryExecutionId": query.id,
        "Query": asked.text,
        "StatementType": "DML",
        "SubstatementType": "UNLOAD" if query.unloads else "SELECT",
        "ResultConfiguration": result,
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": reuse},
        "QueryExecutionContext": {"Catalog": asked.catalog.lower(), "Database": asked.database},
        "Status": status,
        "Statistics": _statistics(query),
        "WorkGroup": asked.workgroup,
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
    }


def _statistics(query: Query) -> dict[str, Any]:
    def milliseconds(begin: float | None, end: float | None) -> int:
        return round(1000 * (end - begin)) if begin is not None and end is not None else 0

    statistics: dict[str, Any] = {
        "DataScannedInBytes": query.bytes,
        "EngineExecutionTimeInMillis": milliseconds(query.started, query.ended),
        "QueryQueueTimeInMillis": milliseconds(query.submitted, query.started),
        "TotalExecutionTimeInMillis": milliseconds(query.submitted, query.ended),
        "ResultReuseInformation": {"ReusedPreviousResult": query.earlier is not None},
    }
    if query.manifest is not None:
        statistics["DataManifestLocation"] = query.manifest
    return statistics


def _column_info(name: str, kind: str) -> dict[str, Any]:
    return {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": kind}
