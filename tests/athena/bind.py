"""A query put together with its tables: what each name in it means, and what each of its looks at a table needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from tests.athena.catalog import Catalog, Table, View
from tests.athena.errors import QueryFailed, failed
from tests.athena.statement import UNKNOWN, Statement, place_of, read
from tests.athena.words import check_types

CATALOG = "awsdatacatalog"
UNRESOLVED = "cannot be resolved or requester is not authorized to access requested resources"
PATH = "$path"
"""The column that every table has and `SELECT *` does not give: the address of a row's object."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One place in a query where a table is read: the columns it needs, and what its rows must meet."""

    name: str
    alias: str
    table: Table
    columns: frozenset[Path]
    condition: exp.Expression

    @property
    def wants_path(self) -> bool:
        """Whether the address of the objects is asked for."""
        return (PATH,) in self.columns


@dataclass(frozen=True, slots=True)
class Bound:
    """A query in which each table is the name of a look at it."""

    select: exp.Query
    looks: tuple[Look, ...]


def bind(statement: Statement, catalog: Catalog, *, named: str, database: str) -> Bound:
    """Raises QueryFailed for a table or a column that there is not. `named` is the catalog of tables that name none."""
    select = statement.select.copy()
    if statement.unload is not None:
        _check_names(select)
    tables = _found(statement, select, catalog, (named, database))
    schema = _schema(tables.values())
    try:
        select = qualify(select, schema=schema, dialect="athena")
    except OptimizeError as error:
        raise _unresolved(statement, error) from error
    select = annotate_types(select, schema=schema, dialect="athena")
    check_types(statement, select)
    looks = tuple(_looks(select, tables))
    for node in _tables(select):
        if "look" in node.meta:
            node.replace(exp.to_table(f"look_{node.meta['look']}", alias=node.alias_or_name))
    return Bound(select, looks)


def _found(statement: Statement, select: exp.Query, catalog: Catalog, default: tuple[str, str]) -> dict[int, Table]:
    """The tables of a query by the numbers of their looks, with which they are marked; views give way to theirs."""
    tables: dict[int, Table] = {}
    waiting = [(node, default) for node in _tables(select)]
    while waiting:
        node, within = waiting.pop(0)
        found = _table(statement, node, catalog, within)
        if found.view is not None:
            waiting += [(inner, (CATALOG, found.view.database)) for inner in _expand(node, found.view)]
            continue
        node.meta["look"] = len(tables)
        tables[len(tables)] = found
        node.set("catalog", None)
        node.set("db", exp.to_identifier(found.database, quoted=True))
    return tables


def _tables(select: exp.Query) -> list[exp.Table]:
    """The tables that are no names of a WITH."""
    found: dict[int, exp.Table] = {}
    for scope in traverse_scope(select):
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                found[id(source)] = source
    return list(found.values())


def _expand(node: exp.Table, view: View) -> list[exp.Table]:
    """Puts a view's query in its place, and gives the tables in that."""
    inner = read(view.sql).select
    alias = node.alias_or_name
    node.replace(inner.subquery(alias, copy=False))
    return _tables(inner)


def _table(statement: Statement, node: exp.Table, catalog: Catalog, default: tuple[str, str]) -> Table:
    named, database = (node.catalog or default[0]).lower(), (node.db or default[1]).lower()
    where = place_of(statement, node.catalog or node.db or node.name)
    if named != CATALOG:
        raise failed("CATALOG_NOT_FOUND", f"Catalog '{named}' does not exist", place=where)
    found = catalog.table(database, node.name)
    if found is not None:
        return found
    if not catalog.has(database):
        raise failed("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", place=where)
    full = f"{CATALOG}.{database}.{node.name}".lower()
    raise failed("TABLE_NOT_FOUND", f"Table '{full}' does not exist", place=where)


def _schema(tables: Iterable[Table]) -> MappingSchema:
    columns: dict[str, dict[str, dict[str, object]]] = {}
    visible: dict[str, dict[str, list[str]]] = {}
    for table in tables:
        known: dict[str, object] = {column.name: column.type for column in table.visible}
        columns.setdefault(table.database, {})[table.name] = {**known, PATH: "varchar"}
        visible.setdefault(table.database, {})[table.name] = list(known)
    return MappingSchema(columns, visible=visible, dialect="athena")


def _looks(select: exp.Query, tables: dict[int, Table]) -> Iterator[Look]:
    """What is needed is asked of a copy in which conditions and columns are moved as near to the tables as they go."""
    moved = pushdown_projections(pushdown_predicates(select.copy(), dialect="athena"))
    needed: dict[int, set[Path]] = {number: set() for number in tables}
    conditions: dict[int, list[exp.Expression]] = {number: [] for number in tables}
    aliases: dict[int, str] = {}
    for scope in traverse_scope(moved):
        for alias, source in scope.sources.items():
            if isinstance(source, exp.Table):
                number = source.meta["look"]
                aliases[number] = alias
                needed[number] |= {_path(column) for column in scope.columns if column.table == alias}
                conditions[number].append(_condition(scope))
    for number, table in tables.items():
        # read from more than one place where a WITH is used twice: then one of the conditions must hold
        condition = exp.or_(*conditions[number]) if conditions[number] else exp.true()
        yield Look(f"look_{number}", aliases.get(number, ""), table, frozenset(needed[number]), condition)


def _condition(scope: Scope) -> exp.Expression:
    """What all rows of this part's tables meet; nothing where an outer join may bring rows that do not."""
    where = scope.expression.args.get("where")
    joins = scope.expression.args.get("joins") or []
    if where is None or any(join.side for join in joins):
        return exp.true()
    condition: exp.Expression = where.this.copy()
    return condition


def _path(column: exp.Column) -> Path:
    """`user.name` of `element_at(user.name.first, 1)`: the column and the fields that follow it."""
    path = [column.name]
    node: exp.Expression = column
    while isinstance(node.parent, exp.Dot) and node.parent.this is node:
        node = node.parent
        path.append(node.expression.name)
    return tuple(path)


def _check_names(select: exp.Query) -> None:
    """UNLOAD writes columns with names, each once."""
    seen: set[str] = set()
    for number, column in enumerate(select.selects, start=1):
        if column.is_star:
            continue
        name = column.alias_or_name.lower()
        if not name or not isinstance(column, exp.Alias | exp.Column | exp.Dot):
            raise failed("MISSING_COLUMN_NAME", f"Column name not specified at position {number}", place=UNKNOWN)
        if name in seen:
            raise failed("DUPLICATE_COLUMN_NAME", f"Column name '{name}' specified more than once", place=UNKNOWN)
        if isinstance(column.unalias(), exp.Struct):  # a ROW, whose fields have names by a CAST alone
            message = "Anonymous row type is not supported in Hive. Please give each field a name"
            raise failed("NOT_SUPPORTED", message)
        seen.add(name)


def _unresolved(statement: Statement, error: OptimizeError) -> QueryFailed:
    message = str(error).split("\n", 1)[0]
    column = re.match(r"""(?:Column|Unknown column:?) ['"]*([^'".]+(?:["']*\.["']*[^'".]+)*)""", message)
    if column is None:
        return failed("SYNTAX_ERROR", message, place=UNKNOWN)
    name = column.group(1).replace('"', "")
    where = place_of(statement, name.partition(".")[0])
    if "ambiguous" in message.lower():
        return failed("SYNTAX_ERROR", f"Column '{name}' is ambiguous", place=where)
    return failed("COLUMN_NOT_FOUND", f"Column '{name}' {UNRESOLVED}", place=where)
