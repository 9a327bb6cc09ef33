"""New files in a folder and below, as they are finished.

The system tells of them at once; the folder is also listed now and then, for what it did not tell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath
from threading import Event
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from trapline.settings import StreamSettings
from trapline.streams.decode import Decoder, too_large
from trapline.streams.source import Backlog, Handed, Parcel, SourceDown, Spoiled

LIST_SECONDS = 10.0
UNFINISHED_SECONDS = 5.0
"""A file that nobody can read is given so long, from when it changed last: it may still be written."""

_AGAIN_SECONDS = 0.2
_LOOK_MS, _GROUP_MS, _QUIET_MS = 50, 200, 20
_MOST_FILES = 100
_COARSE = timedelta(seconds=1)
"""The clock of a file system may be a little behind."""

_SUFFIXES = {
    "table": (".parquet",),
    "cloudtrail": (".parquet", ".json", ".json.gz", ".jsonl", ".jsonl.gz"),
}

_State = tuple[int, int]
"""Size in bytes, and nanoseconds of the last change: another where a file is written anew."""


@dataclass(slots=True)
class _Waiting:
    """A file to hand over: its state when it was last looked at, and since when it is the same."""

    landed_at: datetime
    state: _State | None = None
    since: float = 0.0
    not_before: float = 0.0


class Directory:
    """Of the files that are there when it is first asked, those are new that came no earlier than `since`. Names that
    begin with a dot are no table's: what is being written has such a name, or another ending, and is then renamed."""

    positions: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        settings: StreamSettings,
        since: datetime,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._decoder = Decoder(schema, settings)
        self._since = since
        self._now = now
        self._stop = Event()
        self._changes: Generator[Collection[tuple[Any, str]], None, None] | None = None
        self._watched: tuple[int, int] | None = None
        self._listed: float | None = None
        self._known: dict[str, _State] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._out: dict[str, datetime] = {}

    def receive(self, *, wait: float) -> Sequence[Handed]:
        until = self._now() + wait
        while not self._stop.is_set():
            self._look()
            handed = self._take()
            if handed or self._now() >= until:
                return handed
        return []

    def done(self, receipts: Sequence[Any]) -> None:
        for receipt in receipts:
            self._out.pop(receipt, None)

    def extend(self) -> None:
        """A file waits as long as it takes."""

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        if not key.startswith(f"{origin}#"):  # an event that was set aside alone
            return self._decoder.again(origin.encode(), key=key, landed_at=landed_at, origin=origin)
        content = self._content(origin)
        if isinstance(content, str):
            return Spoiled(key, landed_at, content, origin)
        return self._decoder.again(content, key=key, landed_at=landed_at, origin=origin, name=origin)

    def backlog(self) -> Backlog:
        landed = [file.landed_at for file in list(self._waiting.values())] + list(self._out.values())
        return Backlog(waiting=len(landed), oldest=min(landed, default=None))

    def close(self) -> None:
        self._stop.set()
        self._out.clear()

    def _look(self) -> None:
        """Finds what is new. Raises SourceDown."""
        try:
            changed = self._changed()
            due = self._listed is None or self._now() - self._listed >= LIST_SECONDS
            if due or any(Path(path).is_dir() for path in changed):
                self._list()
                return
            for path in changed:
                self._find(PurePath(path).relative_to(self._folder))
        except OSError as error:
            self._changes = None
            raise SourceDown(
                f"the folder {self._folder} cannot be watched: {error.strerror or error}",
                remedy="check that it is there and may be read; on Linux, also the limit of watched folders "
                "(fs.inotify.max_user_watches)",
            ) from error

    def _changed(self) -> Collection[str]:
        """The paths that changed since it was last asked; waits a moment. Raises OSError."""
        status = self._folder.stat()
        if self._changes is None or self._watched != (status.st_dev, status.st_ino):
            from watchfiles import watch  # only those wait for it who watch

            self._watched = (status.st_dev, status.st_ino)
            self._listed = None
            self._changes = watch(
                self._folder,
                watch_filter=None,
                debounce=_GROUP_MS,
                step=_QUIET_MS,
                stop_event=self._stop,
                rust_timeout=_LOOK_MS,
                yield_on_timeout=True,
            )
        return {path for _, path in next(self._changes, ())}

    def _list(self) -> None:
        first = not self._known and self._listed is None
        present = set()
        for path in self._files():
            present.add(str(path))
            self._find(path, first=first)
        self._known = {path: state for path, state in self._known.items() if path in present}
        self._listed = self._now()

    def _files(self) -> Iterator[PurePath]:
        def failed(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        for folder, _, names in os.walk(self._folder, onerror=failed):
            below = PurePath(folder).relative_to(self._folder)
            yield from (below / name for name in names)

    def _find(self, path: PurePath, *, first: bool = False) -> None:
        """Adds a file to those that wait, where it is new."""
        if not path.name.endswith(_SUFFIXES[self._settings.format]) or any(part.startswith(".") for part in path.parts):
            return
        try:
            status = (self._folder / path).stat()
        except FileNotFoundError:
            return
        state, landed_at = (status.st_size, status.st_mtime_ns), datetime.fromtimestamp(status.st_ctime, UTC)
        if first and landed_at < self._since - _COARSE:
            self._known[str(path)] = state
        elif self._known.get(str(path)) != state:
            self._waiting.setdefault(str(path), _Waiting(landed_at))

    def _take(self) -> list[Handed]:
        """Of the files that wait, those that are finished: some at a time."""
        handed: list[Handed] = []
        size = 0
        for name, file in list(self._waiting.items()):
            if len(handed) >= _MOST_FILES or size >= self._settings.largest:
                break
            if file.not_before > self._now():
                continue
            found = self._opened(name, file)
            if found is None:
                file.not_before = self._now() + _AGAIN_SECONDS
                continue
            if found:
                assert file.state is not None
                self._known[name] = file.state
                self._out[found[0].key] = file.landed_at
                size += file.state[0]
            del self._waiting[name]
            handed += (Handed(one, found[0].key) for one in found)
        return handed

    def _opened(self, name: str, file: _Waiting) -> Sequence[Parcel | Spoiled] | None:
        """What a file holds; nothing where it is gone; None where it seems to be unfinished."""
        path = self._folder / name
        try:
            state = _state(path)
            if state != file.state:
                file.state, file.since = state, self._now()
            content = self._content(name)
            if _state(path) != state:
                return None
        except OSError:
            return [] if not path.exists() else None
        key = f"{name}#{state[0]}-{state[1]}"
        found: list[Parcel | Spoiled]
        if isinstance(content, str):
            found = [Spoiled(key, file.landed_at, content, name)]
        else:
            found = self._decoder.parcels(content, key=key, landed_at=file.landed_at, origin=name, name=name)
        settled = self._now() - file.since >= UNFINISHED_SECONDS
        return found if settled or (content and isinstance(found[0], Parcel)) else None

    def _content(self, name: str) -> bytes | str:
        """A file's bytes, or why there are none to be had."""
        path = self._folder / name
        try:
            return too_large(path.stat().st_size, self._settings) or path.read_bytes()
        except FileNotFoundError:
            return "it is gone"
        except OSError as error:
            return f"it cannot be read: {error.strerror}"


def _state(path: Path) -> _State:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
