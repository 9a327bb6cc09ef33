"""The threads that send: each takes one delivery to its destination and reports what came of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from trapline.delivery.attempt import attempt
from trapline.delivery.plugins import describe_exception
from trapline.outbox.queue import QueuedDelivery
from trapline_plugins.api import Destination, Outcome, Unknown

Ended = tuple[QueuedDelivery, Outcome]

PATIENCE = timedelta(minutes=5)
"""After so long a delivery that has not come back is given up on; its thread is left to itself."""


class Senders:
    """What is under way. All but the threads' own work is done by one thread, the router's.

    `on_end` is called by a thread when its delivery has come to an end. `ended` then has it, until `forget`.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._came_back: SimpleQueue[Ended] = SimpleQueue()
        self._under_way: dict[str, QueuedDelivery] = {}
        self._since: dict[str, datetime] = {}
        self._ended: dict[str, Ended] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def start(self, destination: Destination[Any], delivery: QueuedDelivery, *, now: datetime) -> None:
        """Sends a delivery that was claimed."""
        self._under_way[delivery.id] = delivery
        self._since[delivery.id] = now
        name = f"delivery to {delivery.destination}"
        # A daemon: a plugin that never comes back must not keep the process from ending.
        thread = threading.Thread(target=self._send, args=(destination, delivery), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._came_back.put((delivery, Unknown(f"nothing more can be sent at once: {error}")))
            self._on_end()

    def ended(self, now: datetime) -> Collection[Ended]:
        """What has come to an end, or has not come back, and was not forgotten."""
        while True:
            try:
                delivery, outcome = self._came_back.get_nowait()
            except Empty:
                break
            if self._under_way.get(delivery.id) is delivery:  # else it comes too late
                self._ended[delivery.id] = delivery, outcome
        for id, since in self._since.items():
            if now - since >= PATIENCE:
                lost = Unknown("a bug in the plugin: it has not come back for five minutes")
                self._ended.setdefault(id, (self._under_way[id], lost))
        return self._ended.values()

    def forget(self) -> None:
        """Lets go of what has come to an end: it is written down."""
        for id in self._ended:
            del self._under_way[id], self._since[id]
        self._ended.clear()

    def held_by(self, destination: str) -> list[str]:
        """The ids of the deliveries to a destination that are not forgotten."""
        return [id for id, delivery in self._under_way.items() if delivery.destination == destination]

    def busy(self) -> Mapping[str, int]:
        """How many threads are at work for each destination."""
        return Counter(one.destination for id, one in self._under_way.items() if id not in self._ended)

    def _send(self, destination: Destination[Any], delivery: QueuedDelivery) -> None:
        outcome: Outcome
        try:
            outcome = attempt(destination, delivery)
        except BaseException as error:  # a thread that ends without a word would hold its place for ever
            outcome = Unknown(f"a bug in the plugin: {describe_exception(error)}")
        self._came_back.put((delivery, outcome))
        self._on_end()
