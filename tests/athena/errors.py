"""What goes wrong with a query, in Athena's words.

The texts are those that Athena users report, the numbers those of the error catalogue in Athena's user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SYSTEM, USER = 1, 2
"""Athena's categories of errors: is it the service, or is it whoever asked?"""


@dataclass(frozen=True)
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


def syntax(word: str, place: str, message: str) -> QueryFailed:
    """A query that does not fit its tables; `word` is Trino's name of the error."""
    return QueryFailed(f"{word}: {place}{message}", kind=1006)


FAILURES = {
    "syntax": QueryFailed("SYNTAX_ERROR: line 1:8: Unexpected parameters (varchar) for function abs", kind=1006),
    "permissions": QueryFailed(
        "PERMISSION_DENIED: Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; "
        "Request ID: 5B11DF4645EDCBE0; S3 Extended Request ID: none; Proxy: null)",
        kind=1200,
    ),
    "internal": QueryFailed(
        "GENERIC_INTERNAL_ERROR: Amazon Athena experienced an internal error while executing this query. "
        "Please try submitting the query again and if the issue reoccurs, contact AWS support for further assistance.",
        category=SYSTEM,
        kind=200,
        retryable=True,
    ),
    "slow-down": QueryFailed(
        "HIVE_CANNOT_OPEN_SPLIT: Please reduce your request rate. (Service: Amazon S3; Status Code: 503; "
        "Error Code: SlowDown; Request ID: 5B11DF4645EDCBE1; S3 Extended Request ID: none; Proxy: null)",
        kind=1400,
        retryable=True,
    ),
    "exhausted": QueryFailed(
        "EXCEEDED_RESOURCES: Query exhausted resources at this scale factor", category=SYSTEM, kind=0
    ),
    "timeout": QueryFailed("Query timeout", category=SYSTEM, kind=210),
}
"""Failures to make at will, by name."""
