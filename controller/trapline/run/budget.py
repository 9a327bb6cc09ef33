"""Budgets of tables: a query that would read too much, or on a day on which too much was read, is put off."""

from __future__ import annotations

from rich.filesize import decimal

from trapline.alerts.operational import open_alarms, raise_alarm, settle_alarm
from trapline.detection.model import Severity
from trapline.query.engine import QueryError, ScanRequest, Wanted
from trapline.run.context import Context
from trapline.state.costs import Costs

ALARM = "over-budget"


def check_budget(context: Context, request: ScanRequest, wanted: Wanted) -> None:
    """Raises QueryError `over-budget` where the table's budget does not allow a scan, with an alarm that stays open
    until one is allowed again. What an engine cannot estimate counts once it is read."""
    table = context.settings.tables.get(request.table)
    if table is None or (table.budget.query is None and table.budget.day is None):
        return
    error = _over(context, request, table.budget.query, table.budget.day, context.engine.estimate(request, wanted))
    _tell(context, request, error)
    if error:
        raise error


def _over(
    context: Context, request: ScanRequest, query: int | None, day: int | None, estimate: int | None
) -> QueryError | None:
    if query is not None and estimate is not None and estimate > query:
        return QueryError(
            ALARM,
            f"reading {request.window} would take up to {decimal(estimate)}, and one query may read {decimal(query)}",
            remedy=f"raise tables.{request.table}.budget.query in trapline.yml, or have less read: declare the "
            "table's partition:, narrow [query] where, or shorten schedule.longest_window",
        )
    if day is None:
        return None
    spent = Costs(context.database).spent(request.table, at=context.now())
    if spent + (estimate or 0) > day or spent >= day:
        return QueryError(
            ALARM,
            f"{decimal(spent)} were read today, this query would add up to {_shown(estimate)}, and a day's queries "
            f"may read {decimal(day)}",
            remedy=f"it goes on by itself at midnight UTC; raise tables.{request.table}.budget.day in trapline.yml, or "
            "see `trapline costs` for who reads how much",
        )
    return None


def _shown(estimate: int | None) -> str:
    return "an unknown amount" if estimate is None else decimal(estimate)


def _tell(context: Context, request: ScanRequest, error: QueryError | None) -> None:
    with context.database.reading() as connection:
        alarmed = request.table in open_alarms(connection, kind=ALARM)
    if error is None and not alarmed:
        return
    with context.database.transaction() as connection:
        if error is None:
            settle_alarm(connection, kind=ALARM, subject=request.table, now=context.now())
            return
        raise_alarm(
            connection,
            kind=ALARM,
            subject=request.table,
            title=f"Table {request.table} is over its budget: nothing of it is read",
            description=f"{error.message}. Its detections wait and lose nothing: they go on where they stopped.",
            severity=Severity.HIGH,
            runbook=error.remedy,
            destinations=context.settings.operations,
            context={"table": request.table, "window": str(request.window)},
            replay="trapline costs",
            now=context.now(),
        )
