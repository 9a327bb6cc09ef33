"""One round of tests: what is asked for of a checkout, run, and what failed remembered for the next one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trapline.author.cases.failed import failed_last, keep_failed
from trapline.author.cases.run import CaseName, Tested, Wanted, choose, run_tests
from trapline.author.checkout import Checkout
from trapline.author.saves import saves
from trapline.author.workshop import workshop
from trapline.clock import system_clock
from trapline.detection.model import Detection, TestCase
from trapline.errors import Problem
from trapline.settings import Settings


@dataclass(frozen=True, slots=True)
class Round:
    """Which cases run, and how: those with these `words` in their detection or name, `only_failed` those alone that
    failed when they last ran, `failed_first` before all others."""

    at_once: int
    sandbox: str | None = None
    base_image: str | None = None
    words: str = ""
    only_failed: bool = False
    failed_first: bool = False
    coverage: bool = False

    def run(
        self, checkout: Checkout, detections: Sequence[Detection], on_progress: Callable[[str], None]
    ) -> list[Tested]:
        """Runs the cases of these detections of the checkout. Raises TraplineError where none of them can be run."""
        whole = len(detections) == len(checkout.asked.detections) and not (
            self.words or self.only_failed or checkout.folder
        )
        with workshop(
            checkout, sandbox=self.sandbox, base_image=self.base_image, now=system_clock, on_progress=on_progress
        ) as place:
            known = failed_last(place.home)
            first = known if self.failed_first or self.only_failed else ()
            asked = choose(detections, self._wanted(known), first=first)
            results = list(run_tests(asked, place, at_once=self.at_once, coverage=self.coverage))
            keep_failed(place.home, known, results)
            if whole:
                place.keep([tested.build for tested in results if tested.build])
        return results

    def _wanted(self, failed: frozenset[CaseName]) -> Wanted:
        def wanted(detection: Detection, case: TestCase) -> bool:
            named = self.words.lower() in f"{detection.name} {case.name}".lower()
            return named and not (self.only_failed and (detection.identity, case.name) not in failed)

        return wanted


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved, the checkout as it is now, and those of its detections that are others than before."""

    files: Sequence[str]
    checkout: Checkout
    concerned: Sequence[Detection]


def watched(path: Path) -> Generator[Saved, None, None]:
    """All that is asked about, at once; from then on what each save concerns, until an interrupt.

    That is a detection whose files or `lib` are others, one that loads again, or not any more, and all of them where
    trapline.yml is another.
    """
    known: dict[str, Detection] = {}
    broken: Sequence[Problem] = ()
    settings: Settings | None = None
    for files in saves(Checkout.around(path).root):
        checkout = Checkout.around(path)
        loaded = {one.path: one for one in checkout.asked.detections}
        other = checkout.settings != settings
        concerned = [one for one in loaded.values() if other or one != known.get(one.path)]
        if concerned or checkout.broken != broken or not files:
            yield Saved(files, checkout, concerned)
        known, broken, settings = loaded, checkout.broken, checkout.settings
