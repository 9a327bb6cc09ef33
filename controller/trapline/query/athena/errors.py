"""What went wrong at AWS as a QueryError: which kind it is, AWS's own words, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from trapline.query.engine import QueryError

_REMEDIES = {
    "syntax": "check [query] where",
    "column-missing": "check [query] where and the table's time:, id: and partition:",
    "table-missing": "check the table's database: and name: in trapline.yml, and that Glue has it",
    "permissions": "grant what the message names; docs/how-to/connect-athena.md has the least policy that works",
    "throttled": "nothing, it is tried again; if it stays, lower athena.concurrency or ask AWS for a higher quota",
    "cancelled": "nothing, the window is read again",
    "cut-off": "narrow the detections' conditions, or raise the workgroup's limit of data scanned per query",
    "timeout": "narrow the detections' conditions or raise athena.timeout",
    "unreachable": "check the network, the region, the bucket of athena.output, and the credentials of this machine",
    "internal": "nothing, it is tried again; if it stays, give the query's id to AWS",
}

_KINDS = (
    ("cut-off", r"bytes scanned limit"),
    (
        "throttled",
        r"slow ?down|reduce your request rate|rate exceeded|throttl|TooManyRequests|CONCURRENT_QUERY_LIMIT|"
        r"ServiceUnavailable|RequestLimitExceeded",
    ),
    (
        "unreachable",
        r"InvalidClientTokenId|UnrecognizedClient|ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch|"
        r"IncompleteSignature|RequestTimeTooSkewed|NoSuchBucket|security token included in the request",
    ),
    ("column-missing", r"COLUMN_NOT_FOUND|Column .{0,300} cannot be resolved"),
    (
        "permissions",
        r"access ?denied|not authorized|insufficient.{0,20}permission|PERMISSION_DENIED|no permission|"
        r"UnauthorizedOperation|Forbidden",
    ),
    (
        "table-missing",
        r"TABLE_NOT_FOUND|SCHEMA_NOT_FOUND|CATALOG_NOT_FOUND|EntityNotFound|"
        r"(Table|Schema|Database|Catalog) .{0,300}(does not exist|not found)",
    ),
    ("timeout", r"EXCEEDED_TIME_LIMIT|query timeout|query timed out"),
    (
        "internal",
        r"INTERNAL|HIVE_|ICEBERG_|EXCEEDED_|exhausted resources|NO_NODES_AVAILABLE|REMOTE_|CLUSTER_OUT_OF_MEMORY",
    ),
    (
        "syntax",
        r"SYNTAX_ERROR|TYPE_MISMATCH|FUNCTION_NOT_FOUND|mismatched input|extraneous input|no viable alternative|"
        r"INVALID_|NOT_SUPPORTED|DIVISION_BY_ZERO|NUMERIC_VALUE_OUT_OF_RANGE|AMBIGUOUS|InvalidRequestException",
    ),
)
"""The kinds of failures by AWS's words, the first that fits counts; each was seen in messages of AWS's."""


def kind_of(words: str, otherwise: str = "internal") -> str:
    """Which kind of failure AWS's words mean."""
    return next((kind for kind, pattern in _KINDS if re.search(pattern, words, re.IGNORECASE)), otherwise)


def query_error(code: str, words: str, *, table: str = "", query: str = "") -> QueryError:
    """A failure with everything that tells it from others."""
    about = ", ".join(filter(None, (table and f"table {table}", query and f"Athena's query {query}")))
    return QueryError(code, f"{words} ({about})" if about else words, remedy=_REMEDIES[code])


@contextmanager
def explained(table: str = "", query: str = "") -> Iterator[None]:
    """Around calls of AWS: what they raise is a QueryError."""
    try:
        yield
    except ClientError as error:
        raise query_error(kind_of(str(error)), str(error), table=table, query=query) from error
    except (BotoCoreError, ResponseParserError) as error:  # the latter is what becomes of a proxy's page
        raise query_error("unreachable", _unreachable(error), table=table, query=query) from error


def _unreachable(error: Exception) -> str:
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return f"there are no credentials for AWS: {error}"
    return f"AWS cannot be reached: {error}"
