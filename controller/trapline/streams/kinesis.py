"""Records that come by a Kinesis data stream, shard by shard: what is done is a position in each."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import pyarrow as pa

from trapline.settings import StreamSettings
from trapline.streams.aws import asking, client, code_of
from trapline.streams.decode import Decoder
from trapline.streams.source import Backlog, Handed, Parcel, SourceDown, Spoiled

END = "SHARD_END"
"""The position in a shard of which nothing is left: it was closed, and all of it is done."""

_AT_ONCE = 500
_PACE_SECONDS = 0.25
"""AWS lets a shard be read five times in a second, by everybody together."""
_BACK_OFF_SECONDS = 1.0
_LIST_SECONDS = 60.0
_THROTTLED = ("ProvisionedThroughputExceededException", "LimitExceededException")
_EXPIRED = "ExpiredIteratorException"


@dataclass(slots=True)
class _Shard:
    """`read` is the last number that was read; `out` are those handed over, in order: when each landed, None once it is
    done."""

    parents: frozenset[str]
    read: str | None = None
    iterator: str | None = None
    ended: bool = False
    not_before: float = 0.0
    behind: timedelta = timedelta()
    out: dict[str, datetime | None] = field(default_factory=dict)


class Kinesis:
    """Reads each shard from its position on, or from `since` where it has none; those that a shard was split or merged
    into when all of it is done. A receipt is a shard and a sequence number."""

    def __init__(
        self,
        schema: pa.Schema,
        settings: StreamSettings,
        since: datetime,
        positions: Mapping[str, str],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        assert settings.name is not None
        self._stream = {"StreamARN" if settings.name.startswith("arn:") else "StreamName": settings.name}
        self._name = settings.name
        self._decoder = Decoder(schema, settings)
        self._since = since
        self._now = now
        self._sleep = sleep
        self._kinesis = client("kinesis", settings)
        self._lock = Lock()
        # Two streams number their shards alike: a position is one in this stream.
        self._place = f"{self._kinesis.meta.region_name}/{settings.name.rpartition('/')[2]}/"
        ours = {key: number for key, number in positions.items() if key.startswith(self._place)}
        self._begun = {key.removeprefix(self._place): number for key, number in ours.items()}
        self._positions = dict(self._begun)
        self._shards: dict[str, _Shard] = {}
        self._listed: float | None = None
        self._closed = False

    @property
    def positions(self) -> Mapping[str, str]:
        """By region, stream and shard, up to which sequence number everything is done."""
        with self._lock:
            return {f"{self._place}{name}": number for name, number in self._positions.items()}

    def receive(self, *, wait: float) -> Sequence[Handed]:
        until = self._now() + wait
        while not self._closed:
            self._list()
            handed = self._round()
            if handed or self._now() >= until:
                return handed
            self._sleep(min(_PACE_SECONDS, until - self._now()))
        return []

    def done(self, receipts: Sequence[Any]) -> None:
        with self._lock:
            for name, number in receipts:
                if name in self._shards and number in self._shards[name].out:
                    self._shards[name].out[number] = None
            for name, shard in self._shards.items():
                self._advance(name, shard)

    def extend(self) -> None:
        """A record waits for as long as the stream keeps it."""

    def reopen(self, key: str, landed_at: datetime, origin: str) -> Parcel | Spoiled:
        content = origin.encode() if "!" in key else base64.b64decode(origin)  # an event alone is text
        return self._decoder.again(content, key=key, landed_at=landed_at, origin=origin)

    def backlog(self) -> Backlog:
        with self._lock:
            landed = [at for shard in self._shards.values() for at in shard.out.values() if at]
            behind = max((shard.behind for shard in self._shards.values()), default=timedelta())
        return Backlog(oldest=min([*landed, *([datetime.now(UTC) - behind] if behind else [])], default=None))

    def close(self) -> None:
        self._closed = True

    def _list(self) -> None:
        """Finds new shards. Raises SourceDown."""
        if self._listed is not None and self._now() - self._listed < _LIST_SECONDS:
            return
        found = list(self._all_shards())
        names = {one["ShardId"] for one in found}
        with self._lock:
            for one in found:
                parents = {one.get("ParentShardId"), one.get("AdjacentParentShardId")} & names
                self._shards.setdefault(one["ShardId"], _Shard(frozenset(parents)))
            for name in self._shards.keys() - names:  # the stream keeps nothing of it any more
                del self._shards[name]
        self._listed = self._now()

    def _all_shards(self) -> Iterator[Any]:
        asked: dict[str, Any] = dict(self._stream)
        while True:
            with asking(self._name, "kinesis:ListShards"):
                answer = self._kinesis.list_shards(**asked)
            yield from answer["Shards"]
            if not answer.get("NextToken"):
                return
            asked = {"NextToken": answer["NextToken"]}

    def _round(self) -> list[Handed]:
        """What is next in every shard. Raises SourceDown, where nothing came before one could not be read."""
        handed: list[Handed] = []
        for name, shard in self._readable():
            try:
                handed += self._read(name, shard)
            except SourceDown:
                if not handed:
                    raise
                break
        return handed

    def _readable(self) -> list[tuple[str, _Shard]]:
        with self._lock:
            ended = {name for name, position in self._positions.items() if position == END}
            return [
                (name, shard)
                for name, shard in self._shards.items()
                if name not in ended and not shard.ended and shard.parents <= ended and shard.not_before <= self._now()
            ]

    def _read(self, name: str, shard: _Shard) -> list[Handed]:
        """What is next in a shard. Raises SourceDown."""
        try:
            if shard.iterator is None:
                shard.iterator = self._iterator(name, shard)
            with asking(self._name, "kinesis:GetRecords"):
                by_arn = {name: arn for name, arn in self._stream.items() if name == "StreamARN"}
                answer = self._kinesis.get_records(ShardIterator=shard.iterator, Limit=_AT_ONCE, **by_arn)
        except SourceDown as error:
            code = code_of(error.__cause__)
            if code == _EXPIRED:
                shard.iterator = None
            elif code in _THROTTLED:
                shard.not_before = self._now() + _BACK_OFF_SECONDS
            else:
                raise
            return []
        shard.not_before = self._now() + _PACE_SECONDS
        shard.iterator = answer.get("NextShardIterator")
        records = answer["Records"]
        with self._lock:
            shard.behind = timedelta(milliseconds=answer.get("MillisBehindLatest", 0))
            shard.ended = shard.iterator is None
            if records:
                shard.read = records[-1]["SequenceNumber"]
                shard.out |= {record["SequenceNumber"]: _landed_at(record) for record in records}
            self._advance(name, shard)
        if shard.ended:
            self._listed = None
        return [one for record in records for one in self._opened(name, record)]

    def _iterator(self, name: str, shard: _Shard) -> str:
        after = shard.read or self._positions.get(name)
        start: dict[str, Any] = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._since}
        if after:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        elif shard.parents & self._begun.keys():  # all of it came after what was read of its parents before
            start = {"ShardIteratorType": "TRIM_HORIZON"}
        with asking(self._name, "kinesis:GetShardIterator"):
            return str(self._kinesis.get_shard_iterator(ShardId=name, **self._stream, **start)["ShardIterator"])

    def _advance(self, name: str, shard: _Shard) -> None:
        """Moves the position behind what is done without a gap."""
        while shard.out:
            number, waiting_since = next(iter(shard.out.items()))
            if waiting_since:
                return
            self._positions[name] = number
            del shard.out[number]
        if shard.ended:
            self._positions[name] = END

    def _opened(self, name: str, record: Mapping[str, Any]) -> list[Handed]:
        data = bytes(record["Data"])
        what = self._decoder.parcels(
            data,
            key=f"{self._place}{name}:{record['SequenceNumber']}",
            landed_at=_landed_at(record),
            origin=base64.b64encode(data).decode(),
        )
        return [Handed(one, (name, record["SequenceNumber"])) for one in what]


def _landed_at(record: Mapping[str, Any]) -> datetime:
    at: datetime = record["ApproximateArrivalTimestamp"]
    return at.astimezone(UTC)
