"""A Jira Cloud for tests: the few requests of the REST API that it takes to create, comment, move and find issues.

with fake_jira() as jira:
    ...  # deliver to jira.url with jira.email and jira.token, to the project jira.project
    assert [issue.status for issue in jira.issues] == ["To Do"]
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.adf_rules import wrong_document
from trapline_plugins.fakes.faults import Faults
from trapline_plugins.fakes.jira_page import page
from trapline_plugins.fakes.pages import run_by_hand
from trapline_plugins.text import utf16_length

ISSUE_TYPES = ("Task", "Bug")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
WORKFLOW = {
    "To Do": {"Start work": "In Progress", "Done": "Done"},
    "In Progress": {"Done": "Done"},
    "Done": {"Reopen": "To Do"},
}
"""The transitions that each status offers, and where they lead."""

_CATEGORIES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
_FIELDS = {"project", "issuetype", "summary", "description", "labels", "priority"}
_API = "/rest/api/3/"


@dataclass(slots=True)
class FakeIssue:
    """An issue as Jira keeps it, with the bodies of its comments, oldest first."""

    key: str
    fields: dict[str, Any]
    status: str = "To Do"
    comments: list[dict[str, Any]] = field(default_factory=list)
    unknown_to_searches: int = 0
    """So many searches will not find it yet."""


@dataclass(slots=True)
class FakeJira:
    """Where it is, whom it lets in, what it holds, and what shall go wrong."""

    email: str
    token: str
    project: str
    url: str = ""
    search_lag: int = 0
    """How many searches do not find a new issue."""
    workflow: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: WORKFLOW)
    demanded: tuple[str, ...] = ()
    """More fields without which no issue is created."""
    forbidden: tuple[str, ...] = ()
    """Permissions that the user does not have, such as CREATE_ISSUES."""
    issues: list[FakeIssue] = field(default_factory=list)
    created: int = 0
    """How many issues there ever were; a key is never used twice."""
    faults: Faults = field(default_factory=lambda: Faults(unauthorised=Answer(401)))

    def take(self, request: Request) -> Answer:
        """Answers one request as the REST API does."""
        address = urlsplit(request.path)
        if (request.method, address.path) == ("GET", "/"):
            return page(self.issues)
        if not address.path.startswith(_API):
            return Answer(404)
        if not self._lets_in(request):
            return Answer(401)
        parts = tuple(unquote(part) for part in address.path.removeprefix(_API).split("/"))
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            return _wrong("There was an error parsing JSON.")
        return self._answer(request.method, parts, dict(parse_qsl(address.query)), body)

    def issue(self, key: str) -> FakeIssue:
        """The issue with this key; raises LookupError."""
        return next(issue for issue in self.issues if issue.key == key)

    def delete(self, key: str) -> None:
        """Takes an issue away, as a person may."""
        self.issues = [issue for issue in self.issues if issue.key != key]

    def _lets_in(self, request: Request) -> bool:
        known = base64.b64encode(f"{self.email}:{self.token}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {known}"

    def _answer(self, method: str, parts: tuple[str, ...], query: dict[str, str], body: Any) -> Answer:
        match method, *parts:
            case "GET", "myself":
                return _answer(200, {"accountId": "5b10", "emailAddress": self.email})
            case "GET", "project", self.project:
                kinds = [{"id": str(number), "name": name} for number, name in enumerate(ISSUE_TYPES, 10_001)]
                return _answer(200, {"key": self.project, "issueTypes": kinds})
            case "GET", "mypermissions":
                return self._permissions(query.get("permissions", "").split(","))
            case "GET", "issue", "createmeta", self.project, "issuetypes", _:
                return _answer(200, {"fields": self._screen()})
            case "GET", "search", "jql":
                return self._search(query)
            case "POST", "issue":
                return self._create(body)
            case _, "issue", key, *rest if any(issue.key == key for issue in self.issues):
                return self._about(self.issue(key), method, rest, query, body)
        return _answer(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})

    def _about(self, issue: FakeIssue, method: str, rest: list[str], query: dict[str, str], body: Any) -> Answer:
        match method, *rest:
            case ["GET"]:
                return _answer(200, self._shown(issue, query))
            case ["PUT"]:
                return self._edit(issue, body.get("fields", {}))
            case "GET", "comment":
                return _comments(issue, query)
            case "POST", "comment":
                return self._comment(issue, body)
            case "POST", "transitions":
                return self._move(issue, body.get("transition", {}).get("id"))
        return Answer(405)

    def _permissions(self, names: list[str]) -> Answer:
        said = {name: {"key": name, "havePermission": name not in self.forbidden} for name in names}
        return _answer(200, {"permissions": said})

    def _screen(self) -> list[dict[str, Any]]:
        fields: dict[str, dict[str, Any]] = {
            name: {"fieldId": name, "name": name, "required": False} for name in (*sorted(_FIELDS), *self.demanded)
        }
        for name in ("project", "issuetype", "summary", *self.demanded):
            fields[name]["required"] = True
        fields["priority"]["allowedValues"] = [{"name": name} for name in PRIORITIES]
        return list(fields.values())

    def _create(self, body: Any) -> Answer:
        if "CREATE_ISSUES" in self.forbidden:
            return _wrong(project="You do not have permission to create issues in this project.")
        fields = body.get("fields", {})
        errors = {name: f"{name} is required." for name in self.demanded} | _wrong_fields(fields, self.project)
        if errors:
            return _wrong(**errors)
        self.created += 1
        issue = FakeIssue(f"{self.project}-{self.created}", fields, unknown_to_searches=self.search_lag)
        self.issues.append(issue)
        return _answer(201, {"id": str(10_000 + self.created), "key": issue.key})

    def _edit(self, issue: FakeIssue, fields: dict[str, Any]) -> Answer:
        if "EDIT_ISSUES" in self.forbidden:
            return _answer(403, {"errorMessages": ["You do not have permission to edit this issue."]})
        if errors := _wrong_fields(issue.fields | fields, self.project):
            return _wrong(**errors)
        issue.fields |= fields
        return Answer(204)

    def _comment(self, issue: FakeIssue, body: Any) -> Answer:
        if "ADD_COMMENTS" in self.forbidden:
            return _answer(403, {"errorMessages": ["You do not have the permission to comment on this issue."]})
        if error := wrong_document(body.get("body")):
            return _wrong(comment=error)
        issue.comments.append(body["body"])
        return _answer(201, {"id": str(len(issue.comments)), "body": body["body"]})

    def _shown(self, issue: FakeIssue, query: Mapping[str, str]) -> dict[str, Any]:
        shown: dict[str, Any] = {"key": issue.key, "fields": {**issue.fields, "status": _status(issue.status)}}
        if "transitions" in query.get("expand", ""):
            offered = {} if "TRANSITION_ISSUES" in self.forbidden else self.workflow[issue.status]
            shown["transitions"] = [{"id": name, "name": name, "to": _status(to)} for name, to in offered.items()]
        return shown

    def _move(self, issue: FakeIssue, transition: Any) -> Answer:
        to = self.workflow[issue.status].get(transition)
        if to is None:
            return _wrong("It seems that you have tried to perform an illegal workflow operation.")
        issue.status = to
        return Answer(204)

    def _search(self, query: Mapping[str, str]) -> Answer:
        asked = re.fullmatch(r'labels = "([^"\\]+)" ORDER BY created DESC', query.get("jql", ""))
        if not asked:
            return _wrong(f"Error in the JQL Query: this fake does not know {query.get('jql')!r}")
        found = []
        for issue in reversed(self.issues):
            if asked[1] in issue.fields.get("labels", []) and issue.unknown_to_searches > 0:
                issue.unknown_to_searches -= 1
            elif asked[1] in issue.fields.get("labels", []):
                found.append({"key": issue.key, "fields": {"labels": issue.fields["labels"]}})
        return _answer(200, {"issues": found[: int(query.get("maxResults", 50))], "isLast": True})


@contextmanager
def fake_jira(
    email: str = "trapline@example.com",
    token: str = "fake-token",  # noqa: S107 -- a fake's token is no secret
    project: str = "SEC",
    port: int = 0,
) -> Iterator[FakeJira]:
    """Runs a Jira with one project, in which the user with this token may do everything, until the block ends."""
    fake = FakeJira(email, token, project)
    with serving(fake.faults.around(fake.take), port) as server:
        fake.url = server.url
        yield fake


def _wrong_fields(fields: Mapping[str, Any], project: str) -> dict[str, str]:
    """What is wrong with each field of a new issue, in words like Jira's."""
    unknown = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
    checks: dict[str, Callable[[Any], str]] = {
        "project": lambda value: "" if value == {"key": project} else "valid project is required",
        "issuetype": lambda value: "" if _name(value) in ISSUE_TYPES else "Specify a valid issue type",
        "summary": _wrong_summary,
        "description": wrong_document,
        "labels": _wrong_labels,
    }
    if "priority" in fields and _name(fields["priority"]) not in PRIORITIES:
        checks["priority"] = lambda _: "The priority selected is invalid."
    errors = {name: unknown.format(name) for name in set(fields) - _FIELDS}
    errors |= {name: check(fields.get(name)) for name, check in checks.items()}
    return {name: error for name, error in errors.items() if error}


def _wrong_summary(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        return "You must specify a summary of the issue."
    if "\n" in value or "\r" in value:
        return "The summary is invalid because it contains newline characters."
    return "Summary can't exceed 255 characters." if utf16_length(value) > 255 else ""


def _wrong_labels(value: Any) -> str:
    for label in value or []:
        if not label or re.search(r"\s", label):
            return f"The label '{label}' contains spaces which is invalid."
        if utf16_length(label) > 255:
            return f"The label '{label}' exceeds the maximum length of 255 characters."
    return ""


def _comments(issue: FakeIssue, query: Mapping[str, str]) -> Answer:
    start, count = int(query.get("startAt", 0)), min(int(query.get("maxResults", 50)), 100)
    bodies = issue.comments[::-1] if query.get("orderBy") == "-created" else issue.comments
    shown = [{"body": body} for body in bodies[start : start + count]]
    return _answer(200, {"startAt": start, "total": len(bodies), "comments": shown})


def _status(name: str) -> dict[str, Any]:
    return {"name": name, "statusCategory": {"key": _CATEGORIES.get(name, "new")}}


def _name(value: Any) -> str:
    return str(value.get("name")) if isinstance(value, dict) else ""


def _wrong(*messages: str, **errors: str) -> Answer:
    return _answer(400, {"errorMessages": list(messages), "errors": errors})


def _answer(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), (("Content-Type", "application/json"),))


def _setting(jira: FakeJira) -> str:
    lines = ("type: jira", f"url: {jira.url}", f"email: {jira.email}", f"token: {jira.token}")
    return "\n".join(f"    {line}" for line in (*lines, f"project: {jira.project}"))


if __name__ == "__main__":
    run_by_hand(fake_jira, _setting, what="Jira")
