"""What a change does to the alerts: the detections that differ, before and after, over the same past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from trapline.author.change.base import Base
from trapline.author.change.differing import Differing, Version, differing
from trapline.author.change.pairing import Pairing, pairing
from trapline.author.change.sides import Sides
from trapline.author.checkout import Checkout
from trapline.author.history.past import Past
from trapline.author.history.past import Version as Running
from trapline.author.history.run import History, history
from trapline.author.workshop import Workshop
from trapline.errors import TraplineError
from trapline.query.lake import Lake
from trapline.suppressions import Suppressions
from trapline.window import Window

_BASE, _HEAD = "base ", "head "


@dataclass(frozen=True, slots=True)
class Compared:
    """A detection that differs, what each version found, and what that means for its alerts.

    `base` and `head` are None where that side has no version that runs. `trouble` is what is wrong with the version
    that would be merged, `before` what was wrong with the one before.
    """

    differing: Differing
    base: Past | None
    head: Past | None
    alerts: Pairing
    trouble: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of a change. `unlike` are files for all detections that differ: both sides ran with those of the checkout."""

    base: Base
    window: Window
    detections: Sequence[Compared]
    unlike: Sequence[str]
    bytes_scanned: int = 0
    records: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Made:
    """A version that was made ready to run, as far as it could be."""

    running: Running | None = None
    trouble: str = ""


def chosen(checkout: Checkout, sides: Sides, names: Sequence[str]) -> list[Differing]:
    """Those that differ, of these names, ids or paths; without any, of those that the checkout asks about.

    Raises TraplineError for a name that neither side has.
    """
    found = differing(sides)
    if not names:
        return [one for one in found if checkout.asks_about(one.now.path)]
    known: dict[str, set[str]] = defaultdict(set)
    for side in (sides.base, sides.head):
        for detection in side.desired.detections:
            known[detection.path] |= {detection.name, detection.identity}
        for held in side.desired.held:
            known[held.path] |= {held.identity or ""}
    paths = {path for name in names for path in checkout.named(name, known)}
    return [one for one in found if one.now.path in paths]


def compare(
    found: Sequence[Differing],
    sides: Sides,
    base: Base,
    window: Window,
    *,
    lake: Lake,
    workshop: Workshop,
    most_bytes: int | None,
    at_once: int,
    on_progress: Callable[[str], None],
) -> Comparison:
    """Runs both versions of what differs over a window, in one go: a scan is shared by both.

    A table of which that would read more than `most_bytes` is not read, where that can be told before.
    """
    made = _make(found, sides, workshop, at_once)
    running = [one.running for one in made.values() if one.running]
    desired = sides.head.desired
    past: History | None = None
    if running:
        past = history(
            running,
            window,
            lake=lake,
            workshop=workshop,
            settings=desired.settings,
            suppressions=desired.suppressions,
            most_bytes=most_bytes,
            on_progress=on_progress,
        )
    pasts = past.pasts if past else {}
    return Comparison(
        base=base,
        window=window,
        detections=[_compared(one, made, pasts) for one in found],
        unlike=sides.unlike,
        bytes_scanned=past.bytes_scanned if past else 0,
        records=past.records if past else 0,
        seconds=past.seconds if past else 0.0,
    )


def _make(found: Sequence[Differing], sides: Sides, workshop: Workshop, at_once: int) -> dict[str, _Made]:
    """Every version that would run, by what it is called in the history."""
    quiet = {_BASE: sides.base.desired.suppressions, _HEAD: sides.head.desired.suppressions}
    wanted = {f"{side}{one.identity}": (version, quiet[side]) for one in found for side, version in _running(one)}
    with ThreadPoolExecutor(at_once, "diff") as pool:
        made = pool.map(lambda called: _made(called, *wanted[called], workshop), wanted)
        return dict(zip(wanted, made, strict=True))


def _running(one: Differing) -> list[tuple[str, Version]]:
    """The versions that run where they are deployed: one that is turned off raises nothing."""
    both = ((_BASE, one.base), (_HEAD, one.head))
    return [(side, version) for side, version in both if version and not version.off]


def _made(identity: str, version: Version, suppressions: Suppressions, workshop: Workshop) -> _Made:
    if version.detection is None:
        return _Made(trouble=version.trouble)
    try:
        build = workshop.build(version.detection)
    except TraplineError as error:
        return _Made(trouble=str(error))
    running = Running(identity, version.detection, build, suppressions)
    try:
        workshop.builder.smoke(version.detection, build)
    except TraplineError as error:
        return _Made(running, str(error))
    return _Made(running)


def _compared(one: Differing, made: Mapping[str, _Made], pasts: Mapping[str, Past]) -> Compared:
    base, head = (pasts.get(f"{side}{one.identity}") for side in (_BASE, _HEAD))
    stays = head is None and f"{_HEAD}{one.identity}" in made  # what cannot be built takes nobody's place
    trouble = _trouble(made.get(f"{_HEAD}{one.identity}"), head)
    before = _trouble(made.get(f"{_BASE}{one.identity}"), base)
    return Compared(
        one,
        base,
        head,
        Pairing() if stays else pairing(base.alerts if base else (), head.alerts if head else ()),
        trouble=trouble,
        before=tuple(said for said in before if said not in trouble),
    )


def _trouble(made: _Made | None, past: Past | None) -> tuple[str, ...]:
    said = [made.trouble] if made and made.trouble else []
    if past:
        said += past.errors
        if past.failures:
            said.append(f"it fails on {past.failures:,} of the records: {past.first_failure}")
    return tuple(said)
