"""What goes wrong with a query, in Athena's words.

The texts are those that Athena's users report, the numbers those of the error catalogue in its user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SYSTEM, USER = 1, 2
"""Athena's categories of errors: is it the service, or is it whoever asked?"""


@dataclass(eq=False)  # and not frozen: what handles exceptions writes their traceback
class QueryFailed(Exception):
    """A query that ran and failed. `kind` is Athena's ErrorType."""

    message: str
    category: int = USER
    kind: int = 1000
    retryable: bool = False

    def __str__(self) -> str:
        return self.message

    def as_dict(self) -> dict[str, Any]:
        """Athena's AthenaError."""
        return {
            "ErrorCategory": self.category,
            "ErrorType": self.kind,
            "Retryable": self.retryable,
            "ErrorMessage": self.message,
        }


class QueryCancelled(Exception):
    """A query that was stopped, by its user or by the limit of its workgroup."""


class MalformedQuery(Exception):
    """A query that Athena refuses before it becomes one."""


_KINDS = {
    "CATALOG_NOT_FOUND": 1006,
    "COLUMN_NOT_FOUND": 1006,
    "FUNCTION_NOT_FOUND": 1303,
    "GENERIC_INTERNAL_ERROR": 200,
    "HIVE_BAD_DATA": 1001,
    "HIVE_FILESYSTEM_ERROR": 1306,
    "HIVE_PATH_ALREADY_EXISTS": 1001,
    "INVALID_CAST_ARGUMENT": 1100,
    "INVALID_FUNCTION_ARGUMENT": 1106,
    "INVALID_TABLE_PROPERTY": 1103,
    "NOT_SUPPORTED": 1200,
    "PERMISSION_DENIED": 1501,
    "SCHEMA_NOT_FOUND": 1301,
    "SYNTAX_ERROR": 1006,
    "TABLE_NOT_FOUND": 1301,
    "TYPE_MISMATCH": 1002,
}
"""Athena's ErrorType by Trino's name of an error: as measured where people tell, else as the catalogue reads."""


def failed(word: str, message: str, *, place: str = "") -> QueryFailed:
    """A query that was asked for wrongly: `word` is Trino's name of the error, `place` where in the text it lies."""
    return QueryFailed(f"{word}: {place}{message}", kind=_KINDS.get(word, 1000))


def internal(message: str) -> QueryFailed:
    """A query that the service itself let down."""
    return QueryFailed(f"GENERIC_INTERNAL_ERROR: {message}", SYSTEM, 200, retryable=True)


FAILURES = {
    "syntax": failed("SYNTAX_ERROR", "Unexpected parameters (varchar) for function abs", place="line 1:8: "),
    "permissions": failed(
        "PERMISSION_DENIED",
        "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 5B11DF4645EDCBE0; "
        "S3 Extended Request ID: none; Proxy: null)",
    ),
    "internal": internal(
        "Amazon Athena experienced an internal error while executing this query. Please try submitting the query "
        "again and if the issue reoccurs, contact AWS support for further assistance."
    ),
    "slow-down": QueryFailed(
        "HIVE_CANNOT_OPEN_SPLIT: Please reduce your request rate. (Service: Amazon S3; Status Code: 503; "
        "Error Code: SlowDown; Request ID: 5B11DF4645EDCBE1; S3 Extended Request ID: none; Proxy: null)",
        kind=1403,
        retryable=True,
    ),
    "exhausted": QueryFailed("Query exhausted resources at this scale factor", SYSTEM, 0),
    "timeout": QueryFailed("Query timeout", SYSTEM, 210),
}
"""Failures to make at will, by name."""
