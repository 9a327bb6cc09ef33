"""A queue of SQS: messages that are held for as long as they are worked on, and removed when they are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from threading import Lock
from typing import Any

from trapline.settings import StreamSettings
from trapline.streams.aws import asking, client
from trapline.streams.source import Backlog, SourceDown

HELD_SECONDS = 120
"""How long nobody else is given a message, unless it is held on to."""

_AT_ONCE = 10
_LONGEST_POLL = 20
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Message:
    """`receipt` is good until the message is handed out anew."""

    id: str
    receipt: str
    body: str
    sent_at: datetime


@dataclass(slots=True)
class _Held:
    sent_at: datetime
    until: float


class Queue:
    """Any thread may call."""

    def __init__(self, settings: StreamSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        assert settings.queue is not None
        self._url = settings.queue
        self._now = now
        self._sqs = client("sqs", settings)
        self._lock = Lock()
        self._held: dict[str, _Held] = {}

    def receive(self, wait: float) -> list[Message]:
        """At most ten messages; waits whole seconds, at most twenty. Raises SourceDown."""
        with asking(self._url, "sqs:ReceiveMessage"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_AT_ONCE,
                WaitTimeSeconds=min(_LONGEST_POLL, int(wait)),
                VisibilityTimeout=HELD_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        messages = [_message(found) for found in answer.get("Messages", [])]
        until = self._now() + HELD_SECONDS
        with self._lock:
            self._held |= {message.receipt: _Held(message.sent_at, until) for message in messages}
        return messages

    def remove(self, receipts: Iterable[str]) -> None:
        """These are done. Those whose time was over come again. Raises SourceDown."""
        for some in _in_tens(dict.fromkeys(receipts)):
            left = some
            for _ in range(_TRIES):
                left = self._each("delete_message_batch", "sqs:DeleteMessage", left)
                if not left:
                    break
            self._forget(receipt for receipt in some if receipt not in left)
            if left:
                raise SourceDown(f"{self._url}: {len(left)} messages could not be removed", remedy="it is tried again")

    def hold(self) -> None:
        """Holds on to what was received and is not removed. Raises SourceDown."""
        now = self._now()
        with self._lock:
            due = [receipt for receipt, held in self._held.items() if held.until - now < HELD_SECONDS / 2]
        for some in _in_tens(due):
            failed = self._each("change_message_visibility_batch", _CHANGE, some, VisibilityTimeout=HELD_SECONDS)
            with self._lock:
                for receipt in some:
                    if receipt in self._held and receipt not in failed:
                        self._held[receipt].until = now + HELD_SECONDS

    def give_up(self, receipts: Sequence[str] | None = None, seconds: int = 0) -> None:
        """Messages, or all that are held, that come again after so many seconds; where the queue does not answer, when
        they were held long enough."""
        with self._lock:
            receipts = list(self._held) if receipts is None else receipts
        self._forget(receipts)
        try:
            for some in _in_tens(receipts):
                self._each("change_message_visibility_batch", _CHANGE, some, VisibilityTimeout=seconds)
        except SourceDown:
            pass

    def backlog(self) -> Backlog:
        """What waits, those that are held among them. Raises SourceDown."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with asking(self._url, "sqs:GetQueueAttributes"):
            found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        with self._lock:
            oldest = min((held.sent_at for held in self._held.values()), default=None)
        return Backlog(sum(int(found[name]) for name in names), oldest)

    def _each(self, call: str, grant: str, receipts: Sequence[str], **more: Any) -> list[str]:
        """One call for ten receipts at most; answers those that another try may help. What is no good any more, as its
        time was over, is held no longer."""
        entries = [{"Id": str(at), "ReceiptHandle": receipt, **more} for at, receipt in enumerate(receipts)]
        if not entries:
            return []
        with asking(self._url, grant):
            failed = getattr(self._sqs, call)(QueueUrl=self._url, Entries=entries).get("Failed", [])
        self._forget(receipts[int(one["Id"])] for one in failed if one["SenderFault"])
        return [receipts[int(one["Id"])] for one in failed if not one["SenderFault"]]

    def _forget(self, receipts: Iterable[str]) -> None:
        with self._lock:
            for receipt in receipts:
                self._held.pop(receipt, None)


_CHANGE = "sqs:ChangeMessageVisibility"


def _in_tens(receipts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(receipts)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _message(found: Any) -> Message:
    sent = int(found.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
    return Message(found["MessageId"], found["ReceiptHandle"], found["Body"], datetime.fromtimestamp(sent, UTC))
