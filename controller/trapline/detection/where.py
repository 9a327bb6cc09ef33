"""What may stand in `where`: exactly one condition in Athena's SQL."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

MAX_CHARACTERS = 10_000


def condition_error(where: str) -> tuple[str, str] | None:
    """Why a text is not exactly one condition in Athena's SQL, and the remedy; None where it is."""
    if len(where) > MAX_CHARACTERS:
        return f"`where` has more than {MAX_CHARACTERS:,} characters", "shorten it; lists of values belong into detect"
    try:
        tokens = sqlglot.tokenize(where, dialect="athena")
        statements = sqlglot.parse(where, dialect="athena")
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        near = str(first.get("highlight") or "the end")
        said = str(first.get("description"))
        said = "something is missing beside it" if said.startswith("Required keyword") else said
        place = _place(where, first.get("line") or 1, (first.get("col") or 1) - len(near) + 1)
        return f"`where` is not valid SQL {place}, near `{near}`: {said}", "correct the condition"
    except (SqlglotError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return f"`where` is not valid SQL: {said}", "correct the condition"
    if any(token.comments for token in tokens):
        return "`where` holds a comment", "move it to a comment of the config file"
    if len(statements) != 1 or ";" in (token.text for token in tokens):
        return "`where` is more than one statement", "keep a single condition without `;`"
    return _not_a_condition(statements[0])


_NO_TRUTH = (exp.Literal, exp.Null, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe, exp.Interval)


def _not_a_condition(expression: exp.Expr | None) -> tuple[str, str] | None:
    remedy = "write a condition such as event.provider = 'ec2.amazonaws.com'"
    if expression is None:
        return "`where` is empty", remedy
    if isinstance(expression, exp.Query):
        return "`where` is a whole query", "keep only what would follow WHERE"
    if not isinstance(expression, exp.Condition) or isinstance(expression.unnest(), _NO_TRUTH):
        return "`where` is no condition", remedy
    if expression.find(exp.Query):
        return "`where` holds a subquery", "use only columns of the record itself"
    if expression.find(exp.AggFunc, exp.Window):
        return "`where` holds an aggregate, and each record is judged alone", "aggregate in detect(records)"
    if expression.find(exp.Placeholder, exp.Parameter):
        return "`where` holds a placeholder, and nothing fills it in", "write the value"
    return None


def place_in(where: str, start: int) -> str:
    """Where in a condition a name starts, for people."""
    return _place(where, where.count("\n", 0, start) + 1, start - where.rfind("\n", 0, start))


def _place(where: str, line: int, column: int) -> str:
    column = max(column, 1)
    return f"in line {line}, column {column} of it" if "\n" in where.strip() else f"at column {column} of it"
