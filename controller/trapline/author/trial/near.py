"""Near misses: records that a rule would match if one part of its condition held that does not.

The parts are those of the condition that was inferred from the rule, so that no run of the rule is needed for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from trapline.detection.inference.infer import Inferred
from trapline.detection.inference.predicate import FALSE, TRUE, Every, Path, Predicate, Some, paths
from trapline.detection.inference.spell import spelled
from trapline.query.masks import masks

THE_REST = "the part of the rule that was not understood"


@dataclass(frozen=True, slots=True)
class NearMiss:
    """Records for which all of a condition holds but this `part`: how many, the rows of some, and where it looks."""

    part: str
    count: int
    rows: tuple[int, ...]
    paths: tuple[Path, ...]


def near_misses(
    records: pa.RecordBatch, inferred: Inferred, *, spoken_of: Sequence[int], examples: int
) -> list[NearMiss]:
    """Those of a batch, the fewest first; the rows that are `spoken_of` match, or failed, and are none."""
    ways = list(parts_of(inferred))
    asked: list[Predicate] = list(dict.fromkeys(part for way in ways for part in way))
    held = {
        part: _whole(mask, records) for part, mask in zip(asked, masks(records, asked, records.schema), strict=True)
    }
    missed = pc.invert(pc.is_in(pa.array(range(records.num_rows)), value_set=pa.array(list(spoken_of), pa.int64())))
    rows_of: dict[Predicate, pa.BooleanArray] = {}
    for way in ways:
        holding = reduce(pc.add, (held[part].cast(pa.int32()) for part in way))
        nearly = pc.and_(pc.equal(holding, len(way) - 1), missed)
        for part in way:
            rows = pc.and_not(nearly, held[part])
            rows_of[part] = pc.or_(rows_of[part], rows) if part in rows_of else rows
    found = [_told(spelled(part), rows, part, examples) for part, rows in rows_of.items()]
    if inferred.gaps and inferred.matching not in (TRUE, FALSE):
        [mask] = masks(records, [inferred.matching], records.schema)
        found.append(_told(THE_REST, pc.and_(_whole(mask, records), missed), inferred.matching, examples))
    return sorted((one for one in found if one.count), key=lambda one: one.count)


def parts_of(inferred: Inferred) -> Iterator[tuple[Predicate, ...]]:
    """Each way to a match as the parts that have to hold together; not those of one part, which nothing nearly is."""
    matching = inferred.matching
    for way in matching.parts if isinstance(matching, Some) else (matching,):
        if isinstance(way, Every) and len(way.parts) > 1:
            yield way.parts


def _whole(mask: pa.BooleanArray | None, records: pa.RecordBatch) -> pa.BooleanArray:
    return pa.repeat(True, records.num_rows) if mask is None else mask


def _told(part: str, rows: pa.BooleanArray, predicate: Predicate, examples: int) -> NearMiss:
    first = pc.indices_nonzero(rows).slice(0, examples).to_pylist()
    return NearMiss(part, rows.true_count, tuple(first), tuple(sorted(paths(predicate))))
