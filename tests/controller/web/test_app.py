"""The pages on a real socket: hooks, health, and how little they say."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from tests.controller.web.site import SECRET, Run, Site, sign
from trapline.web.app import MAX_BODY, Health

PUSH = json.dumps({"ref": "refs/heads/main", "after": "0" * 40}).encode()
OTHER = json.dumps({"ref": "refs/heads/topic"}).encode()
HOOKS = ["github", "gitlab", "generic"]
WAYS = [
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("generic", "bearer"),
    ("generic", "forgejo"),
    ("generic", "bitbucket"),
]


def headers(way: str, body: bytes, secret: bytes = SECRET) -> dict[str, str]:
    return {
        "github": {"X-Hub-Signature-256": sign(body, secret), "X-GitHub-Event": "push"},
        "gitlab": {"X-Gitlab-Token": secret.decode()},
        "bearer": {"Authorization": f"Bearer {secret.decode()}"},
        "forgejo": {"X-Hub-Signature-256": sign(body, secret), "X-Forgejo-Event": "push"},
        "bitbucket": {"X-Hub-Signature": sign(body, secret), "X-Event-Key": "repo:push"},
    }[way]


@pytest.mark.parametrize(("forge", "way"), WAYS)
def test_each_forge_gives_its_hint(site: Site, forge: str, way: str) -> None:
    answer = site.post(f"/hooks/{forge}", PUSH, headers(way, PUSH))
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert site.hints == [forge]


@pytest.mark.parametrize(("forge", "way"), WAYS)
def test_another_secret_gives_none(site: Site, forge: str, way: str) -> None:
    answer = site.post(f"/hooks/{forge}", PUSH, headers(way, PUSH, b"wrong"))
    assert answer.status_code == 401
    assert answer.text.startswith("expected ")
    assert SECRET.decode() not in answer.text
    assert sign(PUSH) not in answer.text
    assert site.post(f"/hooks/{forge}", PUSH).status_code == 401
    assert site.hints == []


def test_a_push_to_another_ref_gives_none(site: Site) -> None:
    answer = site.post("/hooks/github", OTHER, headers("github", OTHER))
    assert (answer.status_code, answer.json()) == (202, {"ignored": "nobody follows refs/heads/topic"})
    assert site.hints == []


def test_a_ping_is_answered(site: Site) -> None:
    body = b'{"zen": "Keep it logically awesome."}'
    answer = site.post("/hooks/github", body, {"X-GitHub-Event": "ping", "X-Hub-Signature-256": sign(body)})
    assert (answer.status_code, answer.json()) == (200, {"pong": True})
    assert site.hints == []


def test_a_form_is_a_hint_too(site: Site) -> None:
    body = b"payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert site.post("/hooks/github", body, {**headers("github", body), **form}).status_code == 202
    assert site.hints == ["github"]


def test_a_secret_with_letters_beyond_ascii(run: Run) -> None:
    secret = "Schlüssel ✓".encode()
    with run(secret=secret) as site:
        assert site.post("/hooks/gitlab", PUSH, {b"X-Gitlab-Token": secret}).status_code == 202


@pytest.mark.parametrize("forge", HOOKS)
def test_without_a_secret_hooks_are_refused_and_say_what_to_set(run: Run, forge: str) -> None:
    with run(secret=b"") as site:
        for given in (headers("github", PUSH, b""), {"X-Gitlab-Token": ""}, {"Authorization": "Bearer"}):
            answer = site.post(f"/hooks/{forge}", PUSH, given)
            assert answer.status_code == 403
            assert "TRAPLINE_HOOK_SECRET" in answer.text
        assert site.hints == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_hooks_are_only_posted_to(site: Site, method: str) -> None:
    answer = site.http.request(method, "/hooks/github")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/hooks", "/hooks/", "/hooks/other", "/hooks/github/", "/static/x", "/../etc"])
def test_there_is_nothing_else(site: Site, path: str) -> None:
    assert site.get(path).status_code == 404
    assert site.post(path).status_code == 404


def test_a_body_of_the_greatest_size_is_taken_and_a_larger_one_is_not(site: Site) -> None:
    for size, status in ((MAX_BODY, 202), (MAX_BODY + 1, 413)):
        body = b"x" * size
        assert site.post("/hooks/gitlab", body, headers("gitlab", body)).status_code == status
    assert site.hints == ["gitlab"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told_with_its_detail(site: Site, path: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    site.health = site.ready = Health(True, {"loops": {"tick": "1 s"}, "at": at})
    answer = site.get(path)
    assert (answer.status_code, answer.json()) == (200, {"loops": {"tick": "1 s"}, "at": str(at)})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    site.health = site.ready = Health(False, {"stuck": ["tick"]})
    answer = site.get(path)
    assert (answer.status_code, answer.json()) == (503, {"stuck": ["tick"]})
    assert site.http.head(path).status_code == 503
    assert site.post(path).status_code == 405


def test_health_and_readiness_are_two_things(run: Run) -> None:
    with run(health=Health(False, {}), ready=Health(True, {})) as site:
        assert [site.get(path).status_code for path in ("/healthz", "/readyz")] == [503, 200]


def test_no_answer_says_what_answers(site: Site) -> None:
    answers = [site.get("/healthz"), site.get("/nope"), site.post("/hooks/github")]
    answers.append(site.post("/hooks/github", b"x" * (MAX_BODY + 1)))
    for answer in answers:
        assert "server" not in answer.headers
        assert not any(word in answer.text.lower() for word in ("waitress", "werkzeug", "flask", "python"))


def test_a_mistake_of_ours_is_logged_and_not_shown(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> NoReturn:
        raise RuntimeError("the details")

    with run() as site:
        site.hints = type("Broken", (list,), {"append": lambda *_: broken()})()
        answer = site.post("/hooks/gitlab", PUSH, headers("gitlab", PUSH))
    assert (answer.status_code, answer.text) == (500, "Internal Server Error\n")
    assert "the details" in caplog.text


def test_a_refusal_is_logged_once_a_minute_for_each_reason(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def refused() -> list[str]:
        caplog.clear()
        for _ in range(3):
            site.post("/hooks/github", PUSH, headers("github", PUSH, b"a_wrong_secret"))
            site.post("/hooks/gitlab", PUSH, {"X-Gitlab-Token": "another_wrong_secret"})
        assert "wrong_secret" not in caplog.text
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    github = "refused a webhook at /hooks/github from 127.0.0.1: the secret was not shown, or a wrong one"
    gitlab = github.replace("github", "gitlab")
    assert refused() == [github, gitlab]
    site.time += 59
    assert refused() == []
    site.time += 1
    assert refused() == [f"{line}, and 5 others since the last such line" for line in (github, gitlab)]
    site.secret = b""
    assert len(refused()) == 2  # another reason


def test_a_hundred_hooks_at_once_are_a_hundred_hints(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: site.post("/hooks/github", PUSH, headers("github", PUSH)), range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert site.hints == ["github"] * 100
    assert caplog.text == ""
