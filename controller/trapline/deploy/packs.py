"""The packs of a home: at their pins, or, where these cannot be had, as they were when they last could."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from trapline.clock import Clock
from trapline.deploy.ledger import backoff
from trapline.deploy.memory import Memory
from trapline.detection.model import File
from trapline.errors import Problem
from trapline.packs.contents import PackContents, read_pack
from trapline.packs.store import PackStore
from trapline.settings import Settings
from trapline.settings.packs import PackSettings
from trapline.source.tree import SourceError
from trapline_plugins.text import cut

_AT_ONCE = 8
_QUOTED = 200  # characters of what an error says
_WHERE = ("source", "revision", "ref", "root", "verify")
"""What a pack is read by."""

_KEYS = {"refused-url": "source", "no-such-root": "root"}
"""The key of a pack's entry that a trouble is about, where that is not its pin."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a pack as it is set cannot be fetched, how often that was tried, and when it is tried again."""

    pack: PackSettings
    error: SourceError
    attempts: int
    retry_at: datetime


class HomePacks:
    """Fetches ahead, and reads what is there. One pack's trouble is no other's."""

    def __init__(self, store: PackStore, memory: Memory, *, env: Mapping[str, str], now: Clock) -> None:
        self._store, self._memory, self._env, self._now = store, memory, env, now
        self._troubles: dict[str, _Trouble] = {}
        self._changed = 0
        self._turn = threading.Lock()

    @property
    def state(self) -> int:
        """Another number whenever packs that are set alike may read otherwise."""
        return self._changed

    def fetch(self, settings: Settings, *, retry_now: bool = False) -> None:
        """Brings the pins that are not there. What fails is told by `read`, and tried again later and later."""
        with self._turn:
            known = self._troubles
            self._troubles = {name: one for name, one in known.items() if settings.packs.get(name) == one.pack}
            missing = {name: pack for name, pack in settings.packs.items() if self._is_due(name, pack, retry_now)}
            if missing:
                with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="pack") as threads:
                    list(threads.map(self._bring, missing, missing.values()))
                self._changed += 1

    def _is_due(self, name: str, pack: PackSettings, retry_now: bool) -> bool:
        trouble = self._troubles.get(name)
        if trouble and not retry_now and self._now() < trouble.retry_at:
            return False
        try:
            return not self._store.has(pack)
        except SourceError:
            return True

    def _bring(self, name: str, pack: PackSettings) -> None:
        before = self._troubles.pop(name, None)
        try:
            self._store.fetch(pack, env=self._env)
        except SourceError as error:
            attempts = before.attempts if before else 0
            self._troubles[name] = _Trouble(pack, error, attempts + 1, self._now() + backoff(attempts))

    def read(self, settings: Settings, own: Mapping[str, File]) -> Sequence[PackContents]:
        """What the packs bring, without asking anybody else."""
        return [self._read(name, pack, settings, own) for name, pack in settings.packs.items()]

    def at(self, name: str, settings: Settings, own: Mapping[str, File]) -> PackContents | None:
        """What one pack brings at exactly the pin of these settings; None where they name none. Raises SourceError."""
        pack = settings.packs.get(name)
        return read_pack(name, pack, self._store.tree(pack), settings=settings, own=own) if pack else None

    def keep(self, settings: Settings, packs: Sequence[PackContents]) -> None:
        """Remembers the pins that could be read: these are what is good, once the commit that has them is followed."""
        good = {
            one.name: settings.packs[one.name] for one in packs if one.revision == settings.packs[one.name].revision
        }
        self._memory.keep_packs(
            {name: pack.model_dump(mode="json", include=set(_WHERE)) for name, pack in good.items()}
        )

    def _contents(self, name: str, pack: PackSettings, settings: Settings, own: Mapping[str, File]) -> PackContents:
        """Raises SourceError, and nothing else: what a stranger's files do to Trapline must hold up nobody."""
        try:
            return read_pack(name, pack, self._store.tree(pack), settings=settings, own=own)
        except SourceError:
            raise
        except Exception as error:
            message = f"reading the pack failed in Trapline itself: {cut(repr(error), _QUOTED)}"
            raise SourceError("corrupt", message, remedy="tell its authors, and those of Trapline") from error

    def _read(self, name: str, pack: PackSettings, settings: Settings, own: Mapping[str, File]) -> PackContents:
        try:
            return self._contents(name, pack, settings, own)
        except SourceError as error:
            trouble = self._troubles.get(name)
            found = trouble.error if trouble else error
        kept = self._memory.pack(name)
        if kept:
            before = PackSettings.model_validate(kept)
            last = pack.model_copy(update={key: getattr(before, key) for key in _WHERE})
            with suppress(SourceError):
                contents = self._contents(name, last, settings, own)
                told = _told(settings, name, found, f"it stays at {last.revision[:12]}")
                return replace(contents, problems=(told, *contents.problems))
        told = _told(settings, name, found, "what is live of it runs on")
        return PackContents(name, problems=(told,), unread=True)


def _told(settings: Settings, name: str, error: SourceError, meanwhile: str) -> Problem:
    key = _KEYS.get(error.code, "revision")
    return settings.problem(("packs", name, key), f"{error.message}; {meanwhile}", error.remedy, "pack-not-read")
