"""What is known of the tables of a repository without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from trapline.query.engine import QueryError
from trapline.query.lake import Lake
from trapline.settings import Settings
from trapline.tables import cloudtrail

DOCUMENTED = {cloudtrail.TABLE: cloudtrail.SCHEMA}
"""The tables that Trapline itself makes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is in a value of a column: named `fields`, the same for every place or key, or nothing."""

    called: str
    fields: Mapping[str, Shape] = field(default_factory=dict)
    each: Shape | None = None
    any_name: bool = False

    def inside(self, name: str) -> Shape | None:
        """What is there under a name, or at a place of a list; None where nothing ever is."""
        if self.each is not None:
            return self.each if self.any_name or name.removeprefix("-").isdigit() else None
        return self if self.any_name else self.fields.get(name)


class Schemas:
    """The schemas of tables: of `lake`, as they are, where there is one; else as they are documented."""

    def __init__(self, settings: Settings, lake: Lake | None = None) -> None:
        self._settings = settings
        self._lake = lake
        self._schemas: dict[str, pa.Schema | QueryError] = {}
        self._shapes: dict[str, Shape] = {}

    def schema(self, table: str) -> pa.Schema:
        """Without columns where nothing is in the table. Raises QueryError where nothing is known of it."""
        if table not in self._schemas:
            try:
                self._schemas[table] = self._look_up(table)
            except QueryError as error:
                self._schemas[table] = error
        if isinstance(found := self._schemas[table], QueryError):
            raise found
        return found

    def shape(self, table: str) -> Shape:
        """The same, to be looked into often. Raises QueryError."""
        if table not in self._shapes:
            self._shapes[table] = _shape(pa.struct(list(self.schema(table))))
        return self._shapes[table]

    def is_documented(self, table: str) -> bool:
        """Whether what is known of it is only how Trapline makes such a table."""
        return self._lake is None and table in DOCUMENTED

    def has_no_stream(self, table: str) -> bool:
        """Whether it is a table of the settings of which nobody hears what lands in it."""
        known = self._settings.tables.get(table)
        return known is not None and known.lands is None

    def _look_up(self, table: str) -> pa.Schema:
        if self._lake is not None:
            return self._lake.schema(table)
        known = self._settings.tables.get(table)
        if table in DOCUMENTED and (known is None or known.path):  # others come from elsewhere
            return DOCUMENTED[table]
        raise QueryError("table-missing", f"nothing is known of the table {table}")


def _shape(kind: pa.DataType) -> Shape:
    types = pa.types
    if types.is_struct(kind):
        return Shape("a group of fields", {field.name: _shape(field.type) for field in kind})
    if types.is_map(kind):
        return Shape("a map", each=_shape(kind.item_type), any_name=True)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return Shape("a list", each=_shape(kind.value_type))
    if types.is_null(kind):
        return Shape("null", any_name=True)  # whatever it would hold, had there been anything
    if types.is_string(kind) or types.is_large_string(kind):
        return Shape("text")
    return Shape("a time" if types.is_timestamp(kind) else f"of the type {kind}")
