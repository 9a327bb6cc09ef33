"""All that the gate has to say of a repository as a pack, without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from trapline.author.checkout import Checkout
from trapline.author.registry.check.metadata import metadata
from trapline.author.registry.check.network import network
from trapline.author.registry.check.portable import portable
from trapline.author.registry.check.requirements import requirements
from trapline.author.registry.check.tests import tests
from trapline.author.validation.advice.subject import Subject
from trapline.author.validation.validate import in_order, validate
from trapline.clock import Clock
from trapline.config.files import File
from trapline.detection.load import collection_paused
from trapline.detection.model import Detection
from trapline.errors import Problem
from trapline.packs.manifest import FILE_NAME, Manifest, ManifestError, load

_RULES = (metadata, tests, requirements, network, portable)
_LICENSES = ("LICENSE", "LICENCE", "COPYING", "LICENSES/")
_WRONG_ID = frozenset({"attack-format", "attack-tactic", "unknown-attack-id", "retired-attack-id"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, in the order of the files, and the detections that load. `manifest` is None where pack.yml cannot
    be used."""

    manifest: Manifest | None
    detections: Sequence[Detection]
    problems: Sequence[Problem]


def check(checkout: Checkout, *, env: Mapping[str, str], now: Clock) -> Checked:
    """Looks at what is asked about of a checkout, and at the pack as a whole. Raises TraplineError where there is no
    detection."""
    validated = validate(checkout, home=None, env=env, now=now)
    problems = [_stricter(one) for one in validated.problems]
    try:
        manifest, said = load(checkout.tree.files)
        problems += said
    except ManifestError as error:
        manifest = None
        problems += error.problems
    problems += _without_license(checkout.tree.files)
    with collection_paused():
        for detection in validated.detections:
            subject = Subject.of(detection)
            problems += [problem for rule in _RULES for problem in rule(subject)]
    if manifest:
        problems += _tables(manifest, checkout.loaded.detections)
    return Checked(manifest, validated.detections, in_order(problems))


def _stricter(problem: Problem) -> Problem:
    """Others find a detection by its ids of ATT&CK, so that in a pack a wrong one is an error."""
    return replace(problem, severity="error") if problem.code in _WRONG_ID else problem


def _without_license(files: Mapping[str, File]) -> Iterator[Problem]:
    if not any(path.startswith(_LICENSES) for path in files):
        remedy = "add the text of the licence as LICENSE: without it nobody else may use the pack"
        yield Problem("LICENSE", 0, "error", "no-license-file", "the repository has no licence", remedy)


def _tables(manifest: Manifest, detections: Sequence[Detection]) -> Iterator[Problem]:
    """Who uses the pack has tables of other names, and has to know which of them are meant."""
    read = {table for detection in detections for table in detection.config.tables}
    for table in sorted(read - manifest.tables.keys()):
        message = f"what the table `{table}` is like is not said"
        remedy = f"add it to {FILE_NAME}: a line about its records, or a link, under `tables:`"
        yield manifest.problem(("tables",), "undescribed-table", message, remedy, severity="warning")
    for table in sorted(manifest.tables.keys() - read):
        message, remedy = f"no detection reads the table `{table}`", "remove it, or correct its name"
        yield manifest.problem(("tables", table), "unread-table", message, remedy, severity="warning")
