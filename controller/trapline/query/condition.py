"""A predicate as a condition in SQL, which holds wherever the predicate does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from trapline.detection.inference.predicate import Predicate


@dataclass(frozen=True, slots=True)
class Condition:
    sql: str

    @property
    def always(self) -> bool:
        return self.sql == "TRUE"

    @property
    def never(self) -> bool:
        return self.sql == "FALSE"


def cover(predicates: Sequence[Predicate], schema: pa.Schema) -> Condition:
    return Condition("TRUE" if predicates else "FALSE")
