"""Slack's Web API, as little of it as is needed: one call, and what its answer means for a delivery."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from trapline_plugins.api import Delivered, Rejected, Retry, Tools, Unknown
from trapline_plugins.http import outcome_of_error, outcome_of_status, read_object

# Some of what was asked for may have been done before these were said.
_MAYBE_DONE = ("internal_error", "fatal_error")
_LATER = ("ratelimited", "rate_limited", "service_unavailable", "request_timeout", "team_added_to_org")
_REMEDIES = {
    "not_in_channel": "invite the bot to the channel",
    "channel_not_found": "`channel` is not the ID of one that the bot can see; invite it",
    "is_archived": "the channel is archived",
    "missing_scope": "the bot needs the scopes chat:write and channels:history (groups:history for a private channel)",
    "invalid_auth": "`token` is not valid",
    "not_authed": "`token` is not valid",
    "token_revoked": "`token` was revoked",
    "token_expired": "`token` has expired",
    "account_inactive": "the bot's user was removed",
}

Failure = Retry | Rejected | Unknown


@dataclass(frozen=True, slots=True)
class Answer:
    """What Slack said: an `error` in its own word, or none; `failure` is what that means where nobody knows better."""

    body: Mapping[str, Any]
    error: str = ""
    failure: Failure | None = None


class SlackApi:
    """Calls methods once each, with the bot's token."""

    def __init__(self, tools: Tools, *, url: str, token: str, timeout: float) -> None:
        self._tools = tools
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"}
        self._timeout = timeout

    def post(self, method: str, body: Mapping[str, Any]) -> Answer:
        """A method that changes something."""
        headers = {"content-type": "application/json; charset=utf-8"}
        return self._ask("POST", method, headers, content=json.dumps(body, ensure_ascii=False).encode())

    def get(self, method: str, query: Mapping[str, str]) -> Answer:
        """A method that only reads."""
        return self._ask("GET", method, {}, params=dict(query))

    def _ask(self, verb: str, method: str, headers: Mapping[str, str], **request: Any) -> Answer:
        try:
            with self._tools.http.stream(
                verb,
                f"{self._url}/{method}",
                headers={**self._headers, **headers},
                timeout=self._timeout,
                follow_redirects=False,
                **request,
            ) as response:
                outcome = outcome_of_status(response, self._tools.now())
                return _read(response) if isinstance(outcome, Delivered) else Answer({}, failure=outcome)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer({}, failure=outcome_of_error(error))


def _read(response: httpx.Response) -> Answer:
    try:
        body = read_object(response)
    except ValueError as error:
        return Answer({}, failure=Unknown(str(error)))
    if body is None or "ok" not in body:
        return Answer({}, failure=Rejected("its answer is none of Slack's: `url` is not that of Slack's Web API"))
    return Answer(body) if body["ok"] is True else _refused(str(body.get("error", "")))


def _refused(error: str) -> Answer:
    if not re.fullmatch("[a-z_]{1,60}", error):  # none of Slack's words, so perhaps a text from elsewhere
        return Answer({}, error, Rejected("Slack said no, without a reason"))
    said = f"Slack said {error}"
    if error in _MAYBE_DONE:
        return Answer({}, error, Unknown(said))
    if error in _LATER:
        return Answer({}, error, Retry(said))
    return Answer({}, error, Rejected(f"{said}: {_REMEDIES[error]}" if error in _REMEDIES else said))
