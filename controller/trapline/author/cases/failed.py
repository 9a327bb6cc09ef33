"""The cases that failed when they last ran: kept between commands, so that they can run first."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from trapline.author.cases.run import CaseName, Tested

_FILE = "failed.json"


def failed_last(home: Path) -> frozenset[CaseName]:
    """What is known in this home; nothing where it cannot be read, for it only decides on an order."""
    try:
        said = json.loads((home / _FILE).read_text(encoding="utf-8"))
        return frozenset((str(identity), str(name)) for identity, name in said)
    except (OSError, ValueError, TypeError):
        return frozenset()


def keep_failed(home: Path, before: Collection[CaseName], results: Sequence[Tested]) -> None:
    """Keeps what failed now; of what did not run, what was known `before`."""
    ran = {(tested.detection.identity, case.name) for tested in results for case in tested.asked}
    failed = (set(before) - ran).union(*(tested.failures for tested in results))
    making = home / f"{_FILE}.new"
    making.write_text(json.dumps(sorted(failed)), encoding="utf-8")
    making.replace(home / _FILE)
