"""A Slack for tests: the few methods of the Web API that a bot needs to post, edit and look up messages.

with fake_slack() as slack:
    ...  # deliver to slack.url with slack.token and slack.channel
    assert [message.thread_ts for message in slack.messages] == [""]
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.faults import Faults
from trapline_plugins.fakes.pages import run_by_hand
from trapline_plugins.fakes.slack_page import page
from trapline_plugins.fakes.slack_rules import wrong_with

PAGE = 100
"""The most messages on one page of an answer; the real one has up to 999, so that pages are seldom met."""


@dataclass(slots=True)
class FakeMessage:
    """A message as Slack keeps it. `thread_ts` names the message that it replies to."""

    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]
    thread_ts: str = ""
    edits: int = 0

    def shown(self, *, with_metadata: bool) -> dict[str, Any]:
        """The message as an answer has it."""
        shown: dict[str, Any] = {"type": "message", "ts": self.ts, "text": self.text, "blocks": self.blocks}
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if with_metadata and self.metadata:
            shown["metadata"] = self.metadata
        return shown


@dataclass(slots=True)
class FakeSlack:
    """Where it is, whom it lets in, what it holds, and what shall go wrong."""

    token: str
    channel: str
    clock: Callable[[], float]
    url: str = ""
    page_size: int = PAGE
    messages: list[FakeMessage] = field(default_factory=list)
    """In the order in which they were posted, replies among them."""
    faults: Faults = field(default_factory=lambda: Faults(unauthorised=_no("invalid_auth")))

    def take(self, request: Request) -> Answer:
        """Answers one request as the Web API does: with 200, whatever it has to say."""
        address = urlsplit(request.path)
        if request.method == "GET" and address.path == "/":
            return page(self.messages)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _no("invalid_auth")
        try:
            arguments = dict(parse_qsl(address.query)) | json.loads(request.body or b"{}")
        except ValueError:
            return _no("invalid_json")
        method = address.path.removeprefix("/api/")
        if method == "auth.test":
            return _yes(user="trapline", team="Acme")
        if arguments.get("channel") != self.channel:
            return _no("channel_not_found")
        methods: Mapping[str, Callable[[dict[str, Any]], Answer]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }
        return methods[method](arguments) if method in methods else _no("unknown_method")

    def delete(self, ts: str) -> None:
        """Takes a message away, as a person may."""
        self.messages = [message for message in self.messages if message.ts != ts]

    def _post(self, arguments: dict[str, Any]) -> Answer:
        if error := wrong_with(arguments):
            return _no(error)
        text, blocks, metadata = arguments.get("text", ""), arguments.get("blocks", []), arguments.get("metadata", {})
        message = FakeMessage(self._next_ts(), text, blocks, metadata, arguments.get("thread_ts", ""))
        self.messages.append(message)
        return _yes(ts=message.ts, channel=self.channel)

    def _update(self, arguments: dict[str, Any]) -> Answer:
        message = self._message(arguments.get("ts", ""))
        if not message:
            return _no("message_not_found")
        if error := wrong_with(arguments):
            return _no(error)
        message.text, message.blocks = arguments.get("text", ""), arguments.get("blocks", [])
        message.metadata = arguments.get("metadata", message.metadata)
        message.edits += 1
        return _yes(ts=message.ts, channel=self.channel)

    def _history(self, arguments: dict[str, Any]) -> Answer:
        oldest = float(arguments.get("oldest", 0))
        found = [message for message in self.messages if not message.thread_ts and float(message.ts) > oldest]
        return self._page(found[::-1], arguments)

    def _replies(self, arguments: dict[str, Any]) -> Answer:
        ts = arguments.get("ts", "")
        parent = self._message(ts)
        if not parent:
            return _no("thread_not_found")
        oldest = float(arguments.get("oldest", 0))
        found = [message for message in self.messages if message.thread_ts == ts and float(message.ts) > oldest]
        return self._page([parent, *found], arguments)

    def _page(self, found: list[FakeMessage], arguments: Mapping[str, Any]) -> Answer:
        start = int(arguments.get("cursor") or 0)
        end = start + min(int(arguments.get("limit", PAGE)), self.page_size)
        with_metadata = arguments.get("include_all_metadata") in ("true", True)
        return _yes(
            messages=[message.shown(with_metadata=with_metadata) for message in found[start:end]],
            has_more=end < len(found),
            response_metadata={"next_cursor": str(end) if end < len(found) else ""},
        )

    def _message(self, ts: str) -> FakeMessage | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def _next_ts(self) -> str:
        """The time in microseconds, and never the same one twice."""
        last = int(self.messages[-1].ts.replace(".", "")) if self.messages else 0
        seconds, micros = divmod(max(int(self.clock() * 1_000_000), last + 1), 1_000_000)
        return f"{seconds}.{micros:06}"


@contextmanager
def fake_slack(
    token: str = "xoxb-fake",  # noqa: S107 -- a fake's token is no secret
    channel: str = "C0123456789",
    clock: Callable[[], float] = time.time,
    port: int = 0,
) -> Iterator[FakeSlack]:
    """Runs a Slack with one channel, which a bot with this token is in, until the block ends."""
    fake = FakeSlack(token, channel, clock)
    with serving(fake.faults.around(fake.take), port) as server:
        fake.url = f"{server.url}api/"
        yield fake


def _yes(**more: Any) -> Answer:
    return Answer(200, json.dumps({"ok": True, **more}).encode(), (("Content-Type", "application/json"),))


def _no(error: str) -> Answer:
    body = json.dumps({"ok": False, "error": error}).encode()
    return Answer(200, body, (("Content-Type", "application/json"),))


def _setting(slack: FakeSlack) -> str:
    lines = ("type: slack", f"url: {slack.url}", f"token: {slack.token}", f"channel: {slack.channel}")
    return "\n".join(f"    {line}" for line in lines)


if __name__ == "__main__":
    run_by_hand(fake_slack, _setting, what="Slack")
