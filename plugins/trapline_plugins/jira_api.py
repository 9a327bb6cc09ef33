"""Jira Cloud's REST API, as little of it as is needed: one request, and what its answer means for a delivery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from trapline_plugins.api import Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.http import outcome_of_error, outcome_of_status, read_object
from trapline_plugins.story import defang
from trapline_plugins.text import one_line

_LONGEST_WORDS = 300
_REMEDIES = {
    401: "`email` and `token` are not those of a user of this site",
    403: "the user may not do this; `trapline destinations check` says what is missing",
    404: "`url` is no Jira site, or the user cannot see what was asked for",
}


class JiraError(Exception):
    """Jira did not do it. `outcome` is what that means where nobody knows better, `words` are Jira's own."""

    def __init__(self, outcome: Retry | Rejected | Unknown, status: int = 0, words: str = "") -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.status = status
        self.words = words


class JiraApi:
    """Makes requests, once each, as the user whose token it has. Every method raises JiraError."""

    def __init__(self, tools: Tools, *, url: str, email: str, token: str, timeout: float) -> None:
        self._tools = tools
        self._url = f"{url.rstrip('/')}/rest/api/3"
        self._auth = (email, token)
        self._timeout = timeout

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """What there is; changes nothing."""
        return self._ask("GET", path, params=dict(query or {}))

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Makes something, or moves an issue."""
        return self._send("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Changes what there is."""
        return self._send("PUT", path, body)

    def _send(self, verb: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return self._ask(verb, path, content=content, headers={"content-type": "application/json"})

    def _ask(self, verb: str, path: str, **request: Any) -> Mapping[str, Any]:
        try:
            with self._tools.http.stream(
                verb,
                f"{self._url}/{path}",
                auth=self._auth,
                timeout=self._timeout,
                follow_redirects=False,
                **request,
            ) as response:
                return _read(response, outcome_of_status(response, self._tools.now()))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise JiraError(outcome_of_error(error)) from None


def as_dict(value: Any) -> Mapping[str, Any]:
    """The object that is there in an answer; an empty one where something else is."""
    return value if isinstance(value, dict) else {}


def as_dicts(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list of an answer."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _read(response: httpx.Response, outcome: Outcome) -> Mapping[str, Any]:
    status = response.status_code
    if status == 204:
        return {}
    if isinstance(outcome, Retry | Unknown):
        raise JiraError(outcome, status)
    try:
        body = read_object(response)
    except ValueError as error:
        raise JiraError(Unknown(str(error)), status) from None
    if isinstance(outcome, Rejected):
        words = _words(body or {})
        remedy = f"Jira said {words}" if words and status not in _REMEDIES else _REMEDIES.get(status, "")
        raise JiraError(Rejected(f"{outcome.reason}: {remedy}" if remedy else outcome.reason), status, words)
    if body is None:
        raise JiraError(Rejected("its answer is none of Jira's: `url` is not that of a Jira site"), status)
    return body


def _words(body: Mapping[str, Any]) -> str:
    """Jira's reasons on one line: those of the request, then those of single fields."""
    messages, errors = body.get("errorMessages"), body.get("errors")
    said = [str(message) for message in messages] if isinstance(messages, list) else []
    if isinstance(errors, dict):
        said += [f"{field}: {message}" for field, message in errors.items()]
    return defang(one_line("; ".join(said), _LONGEST_WORDS))
