"""Predicate inference: from a rule's Python, a predicate that holds for every record that it has anything to say of.

An abstract interpretation of `detect`. It follows the ways through the function, each with the condition under which
it is taken, up to where it

* returns something that may be true,
* may raise, or
* does something that is not understood.

The predicate is the union of these conditions. So leaving out a record for which it does not hold loses no match and
no failure, and nothing that is not understood can make it too narrow: its way is in the union already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from trapline.detection.inference.flow import TooMuch
from trapline.detection.inference.modules import ALONE, names_of_script
from trapline.detection.inference.names import Names
from trapline.detection.inference.parse import Unreadable, quietly
from trapline.detection.inference.predicate import TRUE, Predicate, atoms, some
from trapline.detection.inference.statements import Statements
from trapline.detection.inference.values import ROOT, Field, Gap

MOST_ATOMS = 1_000
"""More would take an engine longer than the rule takes."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """No record for which the predicate does not hold matches, or makes the rule raise. `gaps` say what was not
    understood; without any, it holds for no other record either. `matching` leaves out where the rule is known to only
    raise."""

    predicate: Predicate
    gaps: tuple[Gap, ...]
    matching: Predicate = TRUE


def infer(source: bytes | str, modules: Mapping[str, bytes] = ALONE, *, function: str = "detect") -> Inferred:
    """The predicate of a script's `detect(record)`. Never raises: what cannot be followed may be true.

    `modules` are the other Python files of the detection, by their paths: what it imports of them is followed too.
    """
    try:
        with quietly():
            return _inferred(names_of_script(source, modules), function)
    except Unreadable as error:
        return _nothing_known(str(error))
    except TooMuch as error:
        return _nothing_known(str(error))
    except (RecursionError, MemoryError):
        return _nothing_known("it is nested too deeply to be followed")


def _inferred(names: Names | None, name: str) -> Inferred:
    if names is None:
        return _nothing_known("the script may change what its own names stand for")
    function = names.functions.get(name)
    if function is None:
        return _nothing_known(f"the script does not define one plain function {name}")
    rule = Statements()
    value = rule.call(function, [Field(ROOT)], {})
    if value is None:
        return _nothing_known(f"{name} is no plain function of one record")
    matches = rule.matches(value)
    predicate = some(matches, *(each.where for each in rule.exits))
    matching = some(matches, *(each.where for each in rule.exits if not each.usual))
    if sum(1 for _ in islice(atoms(predicate), MOST_ATOMS + 1)) > MOST_ATOMS:
        return _nothing_known("it has too many cases")
    return Inferred(predicate, tuple(sorted(rule.gaps, key=lambda gap: (gap.file, gap.line, gap.reason))), matching)


def _nothing_known(reason: str) -> Inferred:
    return Inferred(TRUE, (Gap(0, reason),))
