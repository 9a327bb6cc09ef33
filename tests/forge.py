"""A forge for tests: the comments of one pull request, as the APIs of GitHub and GitLab give and take them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from trapline_plugins.fake_server import Answer, FakeServer, Request, serving

GITHUB = ("/repos/acme/detections/issues/7/comments", "/repos/acme/detections/issues/comments", "PATCH")
GITLAB = ("/projects/42/merge_requests/7/notes", "/projects/42/merge_requests/7/notes", "PUT")
TOKEN = "the-token-of-the-job"


@dataclass
class Forge:
    """What somebody sees beneath the pull request, by the ids of the comments; which of them are by strangers."""

    comments: dict[int, str] = field(default_factory=dict)
    strangers: set[int] = field(default_factory=set)
    may_write: bool = True
    server: FakeServer | None = None

    @property
    def url(self) -> str:
        assert self.server
        return self.server.url

    def answer(self, request: Request) -> Answer:
        """What either of the two forges answers."""
        if TOKEN not in (request.headers.get("private-token"), request.headers.get("authorization", "")[7:]):
            return Answer(401, b'{"message": "Bad credentials"}')
        path, _, query = request.path.partition("?")
        if path == "/user":
            return Answer(200, b'{"id": 1}')
        for listing, single, change in (GITHUB, GITLAB):
            if request.method == "GET" and path == listing:
                return self._page(query)
            if path.startswith((listing, single)) and not self.may_write:
                return Answer(403, b'{"message": "Resource not accessible by integration"}')
            if request.method == "POST" and path == listing:
                return self._put(len(self.comments) + 1, request, 201)
            if request.method == change and (found := re.fullmatch(rf"{single}/(\d+)", path)):
                return self._put(int(found[1]), request, 200)
        return Answer(404, b'{"message": "Not Found"}')

    def _page(self, query: str) -> Answer:
        asked = dict(part.split("=") for part in query.split("&"))
        size, number = int(asked["per_page"]), int(asked["page"])
        several = [self._comment(key) for key in sorted(self.comments)]
        return Answer(200, json.dumps(several[(number - 1) * size : number * size]).encode())

    def _comment(self, key: int) -> dict[str, object]:
        stranger = key in self.strangers
        return {
            "id": key,
            "body": self.comments[key],
            "user": {"type": "User" if stranger else "Bot"},
            "author_association": "CONTRIBUTOR" if stranger else "NONE",
            "author": {"id": 2 if stranger else 1},
        }

    def _put(self, key: int, request: Request, status: int) -> Answer:
        self.comments[key] = json.loads(request.body)["body"]
        return Answer(status, json.dumps({"id": key}).encode())


@contextmanager
def forge() -> Iterator[Forge]:
    """A forge at an address of this machine."""
    made = Forge()
    with serving(made.answer) as made.server:
        yield made
