"""AWS's words, and the kind of failure that they mean."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from trapline.query.athena.errors import _KINDS, _REMEDIES, explained, kind_of
from trapline.query.engine import QueryError


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("SYNTAX_ERROR: line 1:8: Column 'nope' cannot be resolved", "column-missing"),
        ("COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved or requester is not authorized to access "
         "requested resources", "column-missing"),
        ("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.default.nope' does not exist", "table-missing"),
        ("SYNTAX_ERROR: line 1:15: Table awsdatacatalog.default.nope does not exist", "table-missing"),
        ("SCHEMA_NOT_FOUND: line 1:15: Schema 'nope' does not exist", "table-missing"),
        ("line 1:8: mismatched input 'FROM'. Expecting: <expression>", "syntax"),
        ("TYPE_MISMATCH: line 1:40: Cannot apply operator: varchar = integer", "syntax"),
        ("FUNCTION_NOT_FOUND: line 1:8: Function 'nope' not registered", "syntax"),
        ("INVALID_CAST_ARGUMENT: Cannot cast 'x' to INT", "syntax"),
        ("NOT_SUPPORTED: Unsupported Hive type: timestamp with time zone", "syntax"),
        ("Insufficient permissions to execute the query. Insufficient Lake Formation permission(s)", "permissions"),
        ("Access denied when writing output to url: s3://x/y. Please ensure you are allowed to access the S3 bucket.",
         "permissions"),
        ("User: arn:aws:iam::1:user/x is not authorized to perform: glue:GetTable on resource: y", "permissions"),
        ("HIVE_CANNOT_OPEN_SPLIT: Please reduce your request rate. (Service: Amazon S3; Error Code: SlowDown)",
         "throttled"),
        ("Query cancelled! : Bytes scanned limit was exceeded", "cut-off"),
        ("Query timeout", "timeout"),
        ("EXCEEDED_TIME_LIMIT: Query exceeded maximum time limit of 30.00m", "timeout"),
        ("EXCEEDED_MEMORY_LIMIT: Query exceeded per-node memory limit", "internal"),
        ("GENERIC_INTERNAL_ERROR: Number of partition values does not match number of filters", "internal"),
        ("HIVE_BAD_DATA: Field n's type INT64 in parquet file is incompatible", "internal"),
        ("something new", "internal"),
    ],
)  # fmt: skip
def test_athenas_words(words: str, kind: str) -> None:
    assert kind_of(words) == kind


@pytest.mark.parametrize(
    ("code", "message", "status", "kind"),
    [
        ("EntityNotFoundException", "Entity Not Found", 400, "table-missing"),
        ("AccessDeniedException", "You are not authorized", 400, "permissions"),
        ("403", "Forbidden", 403, "permissions"),
        ("ThrottlingException", "Rate exceeded", 400, "throttled"),
        ("TooManyRequestsException", "Too many", 400, "throttled"),
        ("SlowDown", "Please reduce your request rate.", 503, "throttled"),
        ("InvalidRequestException", "line 1:1: mismatched input", 400, "syntax"),
        ("NoSuchBucket", "The specified bucket does not exist", 404, "unreachable"),
        ("ExpiredTokenException", "The security token included in the request is expired", 400, "unreachable"),
        ("UnrecognizedClientException", "The security token included in the request is invalid.", 400, "unreachable"),
        ("InternalServerException", "Internal", 500, "internal"),
        ("NoSuchKey", "The specified key does not exist.", 404, "internal"),
    ],
)
def test_what_calls_of_aws_raise(code: str, message: str, status: int, kind: str) -> None:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(QueryError) as caught, explained("t", "q-1"):
        raise ClientError(response, "Call")
    assert (caught.value.code, message in caught.value.message) == (kind, True)
    assert caught.value.message.endswith("(table t, Athena's query q-1)")


def test_a_network_that_is_away() -> None:
    with pytest.raises(QueryError, match="AWS cannot be reached: Read timeout") as caught, explained():
        raise ReadTimeoutError(endpoint_url="https://x")
    assert caught.value.code == "unreachable"


def test_every_kind_has_a_remedy() -> None:
    assert {kind for kind, _ in _KINDS} | {"cancelled"} == set(_REMEDIES)
