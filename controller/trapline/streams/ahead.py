"""Reading ahead: what a source has next is fetched and decoded while the last is still looked at."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from trapline.streams.source import Backlog, Handed, Parcel, Source, Spoiled

PARCELS = 400
SIZE = 256 * 2**20

_WAIT = 1.0
"""Seconds that the source waits for something to land; closing takes as long."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """All that shares a receipt: it is handed over together, as it is done together. `size` is in bytes."""

    handed: Sequence[Handed]
    size: int


class Ahead:
    """A source that is asked by a thread of its own, from the first `receive` on.

    It holds at most so many `parcels`, and so many bytes (`size`) of records: half for what is handed over and not
    done, half for what comes next. Above that there is only the last that the source handed over at once. What it does
    not hold stays at the source.
    """

    def __init__(self, source: Source, *, parcels: int = PARCELS, size: int = SIZE) -> None:
        self._source = source
        self._parcels = parcels
        self._size = size
        self._change = threading.Condition()
        self._next: deque[_Piece] = deque()
        self._out: dict[Any, _Piece] = {}
        self._reader: threading.Thread | None = None
        self._heard = False
        self._error: Exception | None = None
        self._closed = False

    @property
    def positions(self) -> Mapping[str, str]:
        return self._source.positions

    def receive(self, *, wait: float) -> Sequence[Handed]:
        with self._change:
            self._begin()
            if not self._room(self._out.values(), share=2):
                return []
            # To hand over nothing says that the source was asked, so an answer since the last time is waited for.
            self._change.wait_for(lambda: self._heard or self._next or self._error or self._closed)
            self._change.wait_for(lambda: self._next or self._error or self._closed, wait)
            if self._error and not self._next:
                error, self._error, self._reader = self._error, None, None
                raise error
            handed: list[Handed] = []
            while self._next and self._room(self._out.values(), share=2):
                piece = self._next.popleft()
                self._out[piece.handed[0].receipt] = piece
                handed += piece.handed
            self._heard = bool(handed)
            return handed

    def done(self, receipts: Sequence[Any]) -> None:
        self._source.done(receipts)
        with self._change:
            for receipt in receipts:
                self._out.pop(receipt, None)
            self._change.notify_all()

    def extend(self) -> None:
        self._source.extend()

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        return self._source.reopen(key, landed_at, origin)

    def backlog(self) -> Backlog:
        return self._source.backlog()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._next.clear()
            self._change.notify_all()
            reader = self._reader
        if reader:
            reader.join()  # or what it is just given would be held for as long as the source has patience
        self._source.close()

    def _begin(self) -> None:
        if self._reader is None and not self._closed:
            self._heard = False
            self._reader = threading.Thread(target=self._read, name="read ahead", daemon=True)
            self._reader.start()

    def _read(self) -> None:
        """Asks the source, for as long as there is room, until it fails: then whoever receives is told."""
        try:
            while self._waited_for_room():
                handed = self._source.receive(wait=_WAIT)
                with self._change:
                    self._heard = True
                    self._next += [_piece(list(some)) for _, some in groupby(handed, attrgetter("receipt"))]
                    self._change.notify_all()
        except Exception as error:
            with self._change:
                self._error = error
                self._change.notify_all()

    def _waited_for_room(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._closed or self._room([*self._next, *self._out.values()]))
            return not self._closed

    def _room(self, pieces: Iterable[_Piece], share: int = 1) -> bool:
        """Whether these are less than may be held, or than a share of it."""
        held = list(pieces)
        parcels, size = sum(len(piece.handed) for piece in held), sum(piece.size for piece in held)
        return parcels * share < self._parcels and size * share < self._size


def _piece(handed: Sequence[Handed]) -> _Piece:
    whats = [one.what for one in handed]
    return _Piece(handed, sum(what.records.nbytes if isinstance(what, Parcel) else len(what.origin) for what in whats))
