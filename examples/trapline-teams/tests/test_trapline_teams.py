"""The contract that every destination keeps, and what Teams shows, against a workflow on a socket of this machine."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from trapline_plugins.api import Delivered, Kind, Notification, Rejected, Tools
from trapline_plugins.contract import HttpDestinationContract
from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification

from trapline_teams import Teams, TeamsConfig
from trapline_teams.card import MAX_BYTES


def workflow(request: Request) -> Answer:
    """A workflow as Teams runs it: it takes a message with cards in it, posts them, and says 202 before it has."""
    if "sig=s3cret" not in request.path:
        return Answer(401, b'{"error": {"code": "DirectApiAuthorizationRequired"}}')
    if request.method != "POST" or len(request.body) > 28 * 1024:
        return Answer(400, b'{"error": {"code": "TriggerInputSchemaMismatch"}}')
    body = json.loads(request.body)
    taken = body["type"] == "message" and all(card["content"]["type"] == "AdaptiveCard" for card in body["attachments"])
    return Answer(202 if taken else 400)


def teams(tools: Tools, url: str) -> Teams:
    return Teams("soc", TeamsConfig.model_validate({"url": f"{url}workflows/1/invoke?sig=s3cret"}), tools)


def texts(value: Any) -> list[str]:
    """Every text of a card that a reader sees."""
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    if isinstance(value, dict):
        return texts(list(value.values())) if value.get("type") != "TextRun" else [value["text"]]
    return []


class TestTeams(HttpDestinationContract):
    secrets = ("s3cret",)

    def make(self, tools: Tools, url: str) -> Teams:
        return teams(tools, url)

    def taken(self, request: Request) -> Answer:
        return workflow(request)

    def assert_within_limits(self, rendered: dict[str, Any]) -> None:
        assert len(json.dumps(rendered)) <= MAX_BYTES
        [attachment] = rendered["attachments"]
        assert len(attachment["content"]["actions"]) <= 6

    def test_what_an_analyst_reads(self) -> None:
        [request] = self.sent(a_notification())
        shown = texts(json.loads(request.body))
        assert shown[0] == "HIGH: Brute force from 203.0.113.9"
        for text in ("user.name: ", "root", "Failed logins exceeded the threshold.", "trapline alerts replay a1b2c3"):
            assert text in shown
        assert "Delivery 5e1f0c8e" in shown

    def test_an_alert_that_is_over_looks_so(self) -> None:
        [request] = self.sent(a_notification(kind=Kind.RESOLVED))
        headline = json.loads(request.body)["attachments"][0]["content"]["body"][0]
        assert headline["style"] == "good"
        assert texts(headline) == ["RESOLVED: Brute force from 203.0.113.9"]

    @pytest.mark.parametrize("case", ["hostile", "huge"])
    def test_nothing_that_a_log_says_is_markdown(self, case: str) -> None:
        [request] = self.sent(NOTIFICATIONS[case])
        assert b'"TextBlock"' not in request.body
        assert b"Shortened" in request.body or case == "hostile"

    def test_what_is_no_workflow_is_noticed(self) -> None:
        assert isinstance(self.answered(Answer(200, b"<html>Sign in")), Rejected)
        assert isinstance(self.answered(Answer(202)), Delivered)

    def answered(self, answer: Answer, notification: Notification = NOTIFICATIONS["everyday"]) -> Any:
        with serving(lambda _: answer) as server, httpx.Client() as http:
            soc = teams(Tools(http, lambda: NOW, print), server.url)
            return soc.send(notification, soc.render(notification), "")
