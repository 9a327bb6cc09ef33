"""What is known of the live rules: which records they can say something of, and which columns they read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trapline.deploy.ledger import Deployment, Ledger
from trapline.detection.inference.infer import infer
from trapline.detection.inference.predicate import TRUE, Predicate, paths
from trapline.detection.inference.reads import Read, reads_of
from trapline.detection.model import Mode
from trapline.query.engine import Part, Wanted
from trapline.workers.interface import BuildDigest


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one rule. No record for which the `predicate` does not hold needs to be shown to it; `exact`: it
    holds for no others. `reads` are the columns that `detect` can touch, None for all."""

    predicate: Predicate = TRUE
    exact: bool = False
    reads: frozenset[Read] | None = None

    @property
    def columns(self) -> frozenset[Read] | None:
        """What a scan has to read to tell which records are candidates."""
        looked_at = frozenset(Read(path, whole=False) for path in paths(self.predicate) if path)
        if self.exact:
            return looked_at
        return None if self.reads is None else self.reads | looked_at


NOTHING = Known()


def known_of(script: bytes, modules: Mapping[str, bytes]) -> Known:
    """What is told from the code of a rule that judges one record at a time: its script, and what it may import."""
    inferred = infer(script, modules)
    return Known(inferred.predicate, not inferred.gaps, reads_of(script, modules))


class Rules:
    """What is known of every live rule, worked out once for each build. Thread-safe: what two work out is the same."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[BuildDigest, Known] = {}
        self._misread: set[BuildDigest] = set()
        self._distrusted: frozenset[BuildDigest] = frozenset()

    def of(self, deployment: Deployment) -> Known:
        """What is known of a deployment's rule: nothing of one in the batch format, which sees its window whole."""
        build = deployment.build_digest
        if deployment.mode is Mode.BATCH or build in self._distrusted:
            return NOTHING
        if build not in self._known:
            self._known[build] = self._infer(build)
        known = self._known[build]
        return Known(known.predicate, known.exact) if build in self._misread else known

    def misread(self, deployment: Deployment) -> None:
        """It touched a column that it was not known to read: from now on it is sent all."""
        self._misread.add(deployment.build_digest)

    def distrust(self, builds: Iterable[BuildDigest]) -> None:
        """Their predicates were found to be wrong: they are shown every record."""
        self._distrusted = self._distrusted.union(builds)

    def trust_all_but(self, builds: Iterable[BuildDigest]) -> None:
        """Only these are shown every record."""
        self._distrusted = frozenset(builds)

    def _infer(self, build: BuildDigest) -> Known:
        code = self._ledger.code(build)
        return NOTHING if code is None else known_of(*code)


def wanted_by(rules: Sequence[Known], wheres: Sequence[str | None], *, audit: float) -> Wanted:
    """What of a scan is wanted by these rules together, each with its user's own condition."""
    columns = [rule.columns for rule in rules]
    reads = frozenset[Read]().union(*(each for each in columns if each is not None))
    parts = [Part(rule.predicate, where) for rule, where in zip(rules, wheres, strict=True)]
    return Wanted(None if None in columns else reads, tuple(dict.fromkeys(parts)), audit)
