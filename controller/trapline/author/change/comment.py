"""One comment on a pull request, which each later report takes the place of: by the API of GitHub or GitLab."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from trapline.errors import TraplineError
from trapline_plugins.text import one_line

_PAGE = 100
_PAGES = 50
_MAY_WRITE = ("OWNER", "MEMBER", "COLLABORATOR")  # they may change every comment anyway
_NOWHERE = "run it in a workflow of GitHub for `pull_request`, or in a job of GitLab for a merge request"


@dataclass(frozen=True, slots=True)
class Thread:
    """The comments of one pull request: where they are listed and added, where each one is, and how it is changed."""

    comments: str
    comment: str
    change: str
    headers: Mapping[str, str] = field(repr=False)
    allow: str
    """What to do where the token may not write."""
    user: str = ""
    """Where it is told who comments; empty where a comment tells itself whether it is by somebody who may write."""


def thread_of(env: Mapping[str, str]) -> Thread:
    """That of the pull request which a job of a CI is about, by the variables that it has. Raises TraplineError."""
    if "CI_MERGE_REQUEST_IID" in env:
        return _gitlab(env)
    if "GITHUB_EVENT_PATH" in env:
        return _github(env)
    raise TraplineError("there is no pull request to comment on", remedy=_NOWHERE)


def post(body: str, thread: Thread, http: httpx.Client) -> str:
    """Puts a report where one with the same first line stands, else beneath all others. Returns what was done.

    A comment of a stranger is left alone, whatever its first line: its author could change the report later on.
    Raises TraplineError.
    """
    marker = body.partition("\n")[0].strip()
    if not marker.startswith("<!-- trapline "):
        remedy = "make it with `trapline diff --format markdown`"
        raise TraplineError("this is no report: its first line does not say which one", remedy=remedy)
    us = _ask(http, thread, "GET", thread.user).get("id") if thread.user else None
    for comment in _comments(thread, http):
        if str(comment.get("body", "")).startswith(marker) and _is_ours(comment, us):
            _ask(http, thread, thread.change, f"{thread.comment}/{int(comment['id'])}", body=body)
            return "updated"
    _ask(http, thread, "POST", thread.comments, body=body)
    return "added"


def _github(env: Mapping[str, str]) -> Thread:
    try:
        event = json.loads(Path(env["GITHUB_EVENT_PATH"]).read_bytes())
        number = int(event["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        raise TraplineError("this workflow runs for no pull request", remedy=_NOWHERE) from None
    issues = f"{env.get('GITHUB_API_URL', '').rstrip('/')}/repos/{quote(env.get('GITHUB_REPOSITORY', ''))}/issues"
    token = _token(env, "GITHUB_TOKEN", "hand it in: `GITHUB_TOKEN: ${{ github.token }}`")
    return Thread(
        f"{issues}/{number}/comments",
        f"{issues}/comments",
        "PATCH",
        {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
        "give the job `permissions: pull-requests: write`; for a pull request from a fork a token may only read",
    )


def _gitlab(env: Mapping[str, str]) -> Thread:
    project, number = quote(env.get("CI_PROJECT_ID", "")), quote(env["CI_MERGE_REQUEST_IID"])
    api = env.get("CI_API_V4_URL", "").rstrip("/")
    notes = f"{api}/projects/{project}/merge_requests/{number}/notes"
    token = _token(env, "GITLAB_TOKEN", "add a masked variable with a project access token that has the scope `api`")
    allow = "give the token the scope `api`, and its user the role Reporter or above"
    return Thread(notes, notes, "PUT", {"PRIVATE-TOKEN": token}, allow, f"{api}/user")


def _is_ours(comment: Mapping[str, Any], us: Any) -> bool:
    if us is not None:
        return bool((comment.get("author") or {}).get("id") == us)
    is_bot = (comment.get("user") or {}).get("type") == "Bot"  # of an account that is gone there is no user
    return is_bot or comment.get("author_association") in _MAY_WRITE


def _token(env: Mapping[str, str], name: str, remedy: str) -> str:
    token = env.get(name, "").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise TraplineError(f"{name} holds no token to comment with", remedy=remedy)
    return token


def _comments(thread: Thread, http: httpx.Client) -> Iterator[Mapping[str, Any]]:
    for page in range(1, _PAGES + 1):
        found = _ask(http, thread, "GET", f"{thread.comments}?per_page={_PAGE}&page={page}")
        if not isinstance(found, list):
            raise TraplineError("the comments of the pull request are no list", remedy="see whose address the API has")
        yield from found
        if len(found) < _PAGE:
            return


def _ask(http: httpx.Client, thread: Thread, method: str, url: str, *, body: str | None = None) -> Any:
    try:
        said = http.request(method, url, headers=dict(thread.headers), json=None if body is None else {"body": body})
        if said.is_success:
            return said.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        message = f"the comment could not be made: {error or type(error).__name__}"
        raise TraplineError(message, remedy="see whether the API can be reached from here") from None
    reason = one_line(said.text, 200)
    remedy = thread.allow if said.status_code in (401, 403, 404) else "try again"
    raise TraplineError(f"the comment was refused with {said.status_code}: {reason}", remedy=remedy)
