"""New objects of S3, by the notifications that come to a queue."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from trapline.settings import StreamSettings
from trapline.streams.aws import FETCHERS, Refused, client, fetch
from trapline.streams.decode import Decoder, too_large
from trapline.streams.notifications import Landed, NoNotification, landed, place_of
from trapline.streams.queue import Message, Queue
from trapline.streams.source import Backlog, Handed, Parcel, SourceDown, Spoiled

_LATER_SECONDS = 30
_UNTOLD = 2**20


@dataclass(frozen=True, slots=True)
class _Told:
    """A message, and the objects that it tells of, or why it tells of none."""

    message: Message
    objects: Sequence[Landed] = ()
    reason: str = ""

    @property
    def size(self) -> int:
        """Bytes of its objects, a guess for those whose size it does not tell."""
        return sum(_UNTOLD if one.size is None else one.size for one in self.objects)


class S3Events:
    """All objects of a message share its receipt: it is done when all of them are."""

    positions: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, schema: pa.Schema, settings: StreamSettings, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._decoder = Decoder(schema, settings)
        self._queue = Queue(settings, now=now)
        self._s3 = client("s3", settings)
        self._told: deque[_Told] = deque()

    def receive(self, *, wait: float) -> Sequence[Handed]:
        if not self._told:
            told = [_told(message) for message in self._queue.receive(wait)]
            self._told.extend(one for one in told if one.objects or one.reason)
            self._queue.remove(one.message.receipt for one in told if not one.objects and not one.reason)
        return self._handed(self._some())

    def done(self, receipts: Sequence[Any]) -> None:
        self._queue.remove(receipts)

    def extend(self) -> None:
        self._queue.hold()

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        if key.startswith(f"{origin}#"):
            bucket, name, version = place_of(origin)
            try:
                content = fetch(self._s3, bucket, name, version, self._settings)
            except Refused as error:
                return Spoiled(key, landed_at, str(error), origin)
            return self._decoder.again(content, key=key, landed_at=landed_at, origin=origin, name=name)
        if not key.startswith("s3://"):
            return Spoiled(
                key, landed_at, _told_by(origin)[1] or "it tells of objects, and they come by themselves", origin
            )
        return self._decoder.again(origin.encode(), key=key, landed_at=landed_at, origin=origin)

    def backlog(self) -> Backlog:
        return self._queue.backlog()

    def close(self) -> None:
        self._queue.give_up()

    def _some(self) -> list[_Told]:
        """The next messages: one, and more while their objects together are not larger than one may be."""
        some: list[_Told] = []
        size = 0
        while self._told and (not some or size + self._told[0].size <= self._settings.largest):
            some.append(self._told.popleft())
            size += some[-1].size
        return some

    def _handed(self, some: Sequence[_Told]) -> list[Handed]:
        """What the messages tell of. One whose objects cannot be had now comes again later. Raises SourceDown, where
        that is all of them."""
        with ThreadPoolExecutor(FETCHERS, thread_name_prefix="objects") as pool:
            pending = [(one, [pool.submit(self._opened, one.message, found) for found in one.objects]) for one in some]
        handed: list[Handed] = []
        down: SourceDown | None = None
        for one, opening in pending:
            message = one.message
            if one.reason:
                spoiled = Spoiled(message.id, message.sent_at, one.reason, message.body)
                handed.append(Handed(spoiled, message.receipt))
                continue
            try:
                handed += [Handed(what, message.receipt) for each in opening for what in each.result()]
            except SourceDown as error:
                down = error
                self._queue.give_up([message.receipt], _LATER_SECONDS)
        if down and not handed:
            raise down
        return handed

    def _opened(self, message: Message, found: Landed) -> Sequence[Parcel | Spoiled]:
        key, landed_at, origin = found.identity, found.at or message.sent_at, found.origin
        if reason := too_large(found.size or 0, self._settings):
            return [Spoiled(key, landed_at, reason, origin)]
        try:
            content = fetch(self._s3, found.bucket, found.key, found.version, self._settings)
        except Refused as error:
            return [Spoiled(key, landed_at, str(error), origin)]
        return self._decoder.parcels(content, key=key, landed_at=landed_at, origin=origin, name=found.key)


def _told(message: Message) -> _Told:
    objects, reason = _told_by(message.body)
    return _Told(message, objects, reason)


def _told_by(body: str) -> tuple[Sequence[Landed], str]:
    """The objects that a message tells of, and why it tells of none."""
    try:
        return landed(body), ""
    except NoNotification as error:
        return (), str(error)
