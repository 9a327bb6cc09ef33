"""A detection in the hands of its author: read anew after each save, tried on its samples, asked about one record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from trapline import suppressions
from trapline.author.checkout import Checkout
from trapline.author.trial.bench import Bench
from trapline.author.trial.outcome import Trial, value_at
from trapline.author.trial.sample import Asked, Sample, Samples
from trapline.author.workshop import workshop
from trapline.clock import Clock
from trapline.config.words import did_you_mean
from trapline.detection.model import Detection
from trapline.errors import Problem, TraplineError
from trapline.settings import FILE_NAME, Settings, SettingsError
from trapline.settings import load as load_settings
from trapline.source.worktree import read_directory
from trapline.workers.interface import BuildDigest, ProbeReply
from trapline_sandbox.record import jsonable


class Unloaded(TraplineError):
    """The detection, trapline.yml or suppressions.yml cannot be used as it is now; `problems` say why."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session works: the checkout, the detection's folder in it, what is sampled, and how it is isolated."""

    root: Path
    folder: str
    asked: Asked
    sandbox: str | None = None
    base_image: str | None = None

    def concerns(self, path: str) -> bool:
        """Whether a file of the checkout can make a difference to the detection."""
        of_all = (FILE_NAME, suppressions.FILE_NAME)
        return path.startswith((f"{self.folder}/", "lib/")) or path in of_all or self.folder in ("", ".")


def find(name: str, checkout: Checkout) -> str:
    """The folder of the detection of this name or id, or at this path; also of one that does not load now.

    Raises TraplineError where there is none, or more than one.
    """
    loaded = checkout.loaded
    known = {one.path: {one.name, one.identity} for one in loaded.detections}
    known |= {path: {loaded.broken_identity.get(path, path), Path(path).name} for path in loaded.broken}
    found = checkout.named(name, known)
    if len(found) > 1:
        remedy = f"name one of them: {', '.join(sorted(found)[:5])}"
        raise TraplineError(f"{name!r} is {len(found)} detections, and one is tried at a time", remedy=remedy)
    return found[0]


@dataclass
class Session:
    """What is kept between two looks: the samples, the last trial, and which builds are of this session alone."""

    place: Place
    samples: Samples
    now: Clock
    fresh: bool = False
    trial: Trial | None = None
    settings: Settings = field(default_factory=Settings)
    _held: dict[str, Sample] = field(default_factory=dict)
    _built: set[BuildDigest] = field(default_factory=set)
    _on_progress: Callable[[str], None] = lambda _: None

    def tell(self, on_progress: Callable[[str], None]) -> None:
        """Whom to tell of what takes its time."""
        self._on_progress = on_progress

    def run(self) -> Trial:
        """Tries the detection as it is on this disk now. Raises Unloaded, and TraplineError where it cannot be run."""
        detection, checkout = self._read()
        samples = self._sampled(detection)
        with self._bench(checkout) as bench:
            self.trial = bench.run(detection, samples)
        return self.trial

    def probe(self, number: int) -> ProbeReply:
        """What the expressions of its condition come to on a record of the last trial. Raises TraplineError."""
        record = self._record(number)
        detection, checkout = self._read()
        with self._bench(checkout) as bench:
            return bench.probe(detection, record)

    def number(self, asked: str) -> int:
        """The number of a record that somebody names by its number or its id. Raises TraplineError."""
        if asked.isdecimal() and len(asked) < 10 and self.trial and self.trial.at(int(asked)):
            return int(asked)
        number = self._by_id(asked)
        if number is None:
            count = self.trial.records if self.trial else 0
            remedy = f"records have the numbers 1 to {count:,}; or name one by its id" if count else ""
            raise TraplineError(f"there is no record {asked[:100]!r} in the sample", remedy=remedy)
        return number

    def sample_again(self) -> None:
        """The next trial fetches its samples anew."""
        self._held.clear()
        self.fresh = True

    def _read(self) -> tuple[Detection, Checkout]:
        """The detection as it is saved."""
        folder = self.place.folder
        checkout = Checkout(self.place.root, "" if folder == "." else folder, read_directory(self.place.root))
        if (file := checkout.tree.files.get(FILE_NAME)) is not None and not file.absent:
            self.settings = _settings(checkout)
        found = next((one for one in checkout.asked.detections if one.path == folder), None)
        if found is None:
            problems = checkout.asked.broken.get(folder) or (
                Problem(folder, 0, "error", "no-detection", "there is no detection here any more"),
            )
            raise Unloaded(tuple(one for one in problems if one.severity == "error"))
        return found, checkout

    def _sampled(self, detection: Detection) -> list[Sample]:
        """The samples of its tables; of those that were read before, only what another `where` or setting asks for."""
        asked = replace(self.place.asked, where=detection.config.query.where)
        held: dict[str, Sample] = {}
        for table in detection.config.tables:
            if table not in self.settings.tables:
                near = did_you_mean(table, self.settings.tables)
                remedy = f"{near} add it under tables: in {FILE_NAME}, or correct the detection".strip()
                raise TraplineError(f"there is no table {table!r} in {FILE_NAME}", remedy=remedy)
            key = self.samples.key(self.settings, table, asked)
            held[key] = self._held.get(key) or self._fetched(table, asked)
        self._held, self.fresh = held, False
        return list(held.values())

    def _fetched(self, table: str, asked: Asked) -> Sample:
        return self.samples.sample(self.settings, table, asked, fresh=self.fresh, on_progress=self._on_progress)

    def _record(self, number: int) -> pa.RecordBatch:
        found = self.trial.at(number) if self.trial else None
        if found is None:
            raise TraplineError(f"there is no record {number} in the sample")
        return found[1]

    def _by_id(self, asked: str) -> int | None:
        first = 1
        for sample in self.trial.samples if self.trial else ():
            path = tuple((self.settings.tables[sample.table].id or "").split("."))
            if path[0] in sample.records.schema.names:
                rows = sample.records.select([path[0]]).to_pylist()
                row = next((at for at, one in enumerate(rows) if jsonable(value_at(one, path)) == asked), None)
                if row is not None:
                    return first + row
            first += sample.count
        return None

    @contextmanager
    def _bench(self, checkout: Checkout) -> Iterator[Bench]:
        """The workshop for as long as it is needed: other commands of the author want it too, between two saves."""
        place = self.place
        with workshop(
            checkout, sandbox=place.sandbox, base_image=place.base_image, now=self.now, on_progress=self._on_progress
        ) as opened:
            bench = Bench(opened, self.settings, _suppressions(checkout))
            try:
                yield bench
            finally:
                bench.close()
                opened.builder.backend.remove(sorted(self._built - bench.built))
                self._built = set(bench.built)


def _settings(checkout: Checkout) -> Settings:
    try:
        return load_settings(checkout.tree.files)[0]
    except SettingsError as error:
        raise Unloaded(tuple(one for one in error.problems if one.severity == "error")) from None


def _suppressions(checkout: Checkout) -> suppressions.Suppressions:
    try:
        return suppressions.load(checkout.tree.files)[0]
    except suppressions.SuppressionsError as error:
        raise Unloaded(tuple(one for one in error.problems if one.severity == "error")) from None
