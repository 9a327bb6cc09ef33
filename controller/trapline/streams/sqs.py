"""Records that come as messages of an SQS queue: each is one record, a list of records, or one record for each line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from trapline.settings import StreamSettings
from trapline.streams.decode import Decoder
from trapline.streams.notifications import unwrapped
from trapline.streams.queue import Message, Queue
from trapline.streams.source import Backlog, Handed, Parcel, SourceDown, Spoiled

_MOST_MESSAGES = 100


class Sqs:
    """All that comes of one message shares its receipt."""

    positions: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, schema: pa.Schema, settings: StreamSettings, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._decoder = Decoder(schema, settings)
        self._queue = Queue(settings, now=now)

    def receive(self, *, wait: float) -> Sequence[Handed]:
        some = self._queue.receive(wait)
        messages = list(some)
        try:
            while some and len(messages) < _MOST_MESSAGES:
                some = self._queue.receive(0)
                messages += some
        except SourceDown:  # it is told by the next call; what came is not to be lost over it
            pass
        return [Handed(what, message.receipt) for message in messages for what in self._opened(message)]

    def done(self, receipts: Sequence[Any]) -> None:
        self._queue.remove(receipts)

    def extend(self) -> None:
        self._queue.hold()

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        return self._decoder.again(self._content(origin), key=key, landed_at=landed_at, origin=origin)

    def backlog(self) -> Backlog:
        return self._queue.backlog()

    def close(self) -> None:
        self._queue.give_up()

    def _opened(self, message: Message) -> Sequence[Parcel | Spoiled]:
        content = self._content(message.body)
        return self._decoder.parcels(content, key=message.id, landed_at=message.sent_at, origin=message.body)

    def _content(self, body: str) -> bytes:
        """The message's records, out of the envelope that SNS may have put them in."""
        wrapped = "topicarn" not in map(str.lower, self._decoder.schema.names)
        return (unwrapped(body) if wrapped else body).encode()
