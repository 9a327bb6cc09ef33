"""The API on a real socket: who is let in, and alerts that are listed, shown and resolved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.controller.alerts.beat import NOON, Beat
from trapline.state.database import Database
from trapline.web.api import make_api
from trapline.web.app import Health, make_app
from trapline.web.server import serving

TOKEN = b"a token of the API"
FINE = Health(True, {})


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Beat]:
    beat = Beat(Database.in_home(tmp_path))
    beat.tick(beat.match(1), beat.match(2, "bob"), at=5)
    yield beat
    beat.database.close()


@pytest.fixture
def http(beat: Beat) -> Iterator[httpx.Client]:
    api = make_api(beat.database, token=lambda: TOKEN, now=lambda: NOON + timedelta(minutes=7))
    app = make_app(hint=print, health=lambda: FINE, ready=lambda: FINE, hook_secret=lambda: b"", ref="main", api=api)
    bearer = {"Authorization": f"Bearer {TOKEN.decode()}"}
    with serving(app, "127.0.0.1:0") as url, httpx.Client(base_url=url, headers=bearer, trust_env=False) as client:
        yield client


def test_alerts_are_listed_newest_first(http: httpx.Client) -> None:
    rows = http.get("/api/alerts").json()
    assert [row["dedupe"] for row in rows] == ["bob", "alice"]
    assert rows[0]["first_match_at"] == "2026-01-01T12:02:00+00:00"


def test_the_listing_is_narrowed(http: httpx.Client) -> None:
    assert len(http.get("/api/alerts?limit=1").json()) == 1
    assert http.get("/api/alerts?status=resolved").json() == []
    assert http.get("/api/alerts?detection=another").json() == []
    assert len(http.get("/api/alerts?status=open&detection=logins").json()) == 2


@pytest.mark.parametrize("query", ["status=shut", "limit=0", "limit=x", "limit=1001", "limit=-1", "limit=²"])
def test_what_cannot_be_asked_for_is_told(http: httpx.Client, query: str) -> None:
    answer = http.get(f"/api/alerts?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]


def test_one_alert_is_shown_whole(http: httpx.Client, beat: Beat) -> None:
    alert = http.get(f"/api/alerts/{beat.alerts()[0]['id'][:6]}").json()
    assert alert["dedupe"] == "alice"
    assert [match["record"] for match in alert["matches"]] == [{"user": {"name": "alice"}}]
    assert [(said["kind"], said["destination"]) for said in alert["deliveries"]] == [("opened", "soc")]
    assert "notification" not in alert["deliveries"][0]


def test_an_alert_is_resolved(http: httpx.Client, beat: Beat) -> None:
    path = f"/api/alerts/{beat.alerts()[0]['id']}/resolve"
    alert = http.post(path, json={"by": "soar", "reason": "false positive"}).json()
    assert (alert["status"], alert["resolved_by"], alert["resolution"]) == ("resolved", "soar", "false positive")
    assert alert["resolved_now"] == 1
    assert beat.alerts()[0]["resolved_at"] == NOON + timedelta(minutes=7)
    assert beat.said()[-1] == ("soc", "resolved", "alice", 1)
    assert http.post(path).json()["resolved_now"] == 0


def test_who_says_nothing_of_itself_is_the_api(http: httpx.Client, beat: Beat) -> None:
    assert http.post(f"/api/alerts/{beat.alerts()[0]['id']}/resolve").json()["resolved_by"] == "api"


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"by": 1}', b'{"reason": ["x"]}', b"[" * 100_000])
def test_a_body_that_is_something_else_is_told(http: httpx.Client, beat: Beat, body: bytes) -> None:
    answer = http.post(f"/api/alerts/{beat.alerts()[0]['id']}/resolve", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert {alert["status"] for alert in beat.alerts()} == {"open"}


def test_an_alert_that_is_not_there_is_told(http: httpx.Client) -> None:
    for answer in (http.get("/api/alerts/zzz"), http.post("/api/alerts/zzz/resolve")):
        assert answer.status_code == 404
        assert "no alert has an id that starts with 'zzz'" in answer.json()["error"]


@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Bearer", TOKEN.decode(), "Basic x", "Bearer \xe9"])
def test_nobody_is_let_in_without_the_token(http: httpx.Client, beat: Beat, shown: str | None) -> None:
    for method, path in (("GET", "/api/alerts"), ("POST", f"/api/alerts/{beat.alerts()[0]['id']}/resolve")):
        headers = {} if shown is None else {b"Authorization": shown.encode("latin-1")}
        answer = httpx.request(method, http.base_url.join(path), headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert TOKEN.decode() not in answer.text
    assert {alert["status"] for alert in beat.alerts()} == {"open"}


def test_without_a_token_there_is_no_api(beat: Beat) -> None:
    api = make_api(beat.database, token=lambda: b"", now=lambda: NOON)
    app = make_app(hint=print, health=lambda: FINE, ready=lambda: FINE, hook_secret=lambda: b"", ref="main", api=api)
    with serving(app, "127.0.0.1:0") as url:
        answer = httpx.get(f"{url}/api/alerts", headers={"Authorization": "Bearer"}, trust_env=False)
    assert answer.status_code == 403
    assert "TRAPLINE_API_TOKEN" in answer.json()["error"]
