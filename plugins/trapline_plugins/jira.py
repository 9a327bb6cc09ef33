"""The `jira` destination: an issue in Jira Cloud for each alert, with comments on its changes, closed in its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, Field, SecretStr

from trapline_plugins.adf import alert_document, change_document
from trapline_plugins.api import (
    Delivered,
    Destination,
    DestinationConfig,
    Kind,
    Notification,
    Outcome,
    Rejected,
    Tools,
    Unknown,
)
from trapline_plugins.http import web_address
from trapline_plugins.jira_api import JiraApi, JiraError
from trapline_plugins.jira_check import what_is_wrong
from trapline_plugins.jira_issue import QUERY, Issue, read_issue
from trapline_plugins.jira_search import alert_label, delivery_label, find_delivery, issue_path
from trapline_plugins.story import tell
from trapline_plugins.text import cut_utf16

MAX_SUMMARY = 255
MAX_LABEL = 255

_LOOKED_FOR_SELDOM = timedelta(hours=1)
_REFUSALS = (400, 403, 404, 409, 422)  # 404 too: without a permission Jira does not know what it has just shown


def _site(value: str) -> str:
    url = httpx.URL(web_address(value))
    if url.scheme != "https" and url.host not in ("127.0.0.1", "localhost"):
        raise ValueError("a token must not be sent unencrypted: this is not an https:// address")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("this is not a site's address alone, such as https://example.atlassian.net")
    return value


def _project_key(value: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{1,254}", value):
        raise ValueError("this is not a project's key, such as SEC")
    return value


def _labels(value: tuple[str, ...]) -> tuple[str, ...]:
    for label in value:
        if not 0 < len(label) <= MAX_LABEL or re.search(r"\s", label):
            raise ValueError(f"{label!r} is no label: one has no blanks, and at most {MAX_LABEL} characters")
    return value


Severity = Literal["info", "notice", "low", "medium", "high", "critical"]


class JiraConfig(DestinationConfig):
    """The settings of a `jira` destination."""

    url: Annotated[str, AfterValidator(_site)] = Field(
        description="The site, such as `https://example.atlassian.net`. It must be https."
    )
    email: str = Field(min_length=1, description="The e-mail address of the user whom the token belongs to.")
    token: SecretStr = Field(description="The user's API token.")
    project: Annotated[str, AfterValidator(_project_key)] = Field(
        description="The key of the project to create issues in, such as SEC."
    )
    issue_type: str = Field("Task", min_length=1, description="The name of the type of issue to create.")
    labels: Annotated[tuple[str, ...], AfterValidator(_labels)] = Field(
        (), description="More labels for every issue, without blanks."
    )
    priorities: Mapping[Severity, Annotated[str, Field(min_length=1)]] = Field(
        {}, description="The name of Jira's priority for each severity. Without it Jira takes the project's default."
    )
    resolve_transition: str | None = Field(
        "Done", description="The transition, or the status it leads to, that closes an issue whose alert is over."
    )
    reopen_transition: str | None = Field(
        None, description="The one that opens a closed issue again whose alert goes on. Without it, it stays closed."
    )
    search_lag: float = Field(
        120,
        ge=0,
        le=900,
        description="Seconds that Jira's search is given to learn of a new issue, before it is taken for missing.",
    )
    # Four requests make a delivery, and the router leaves it alone for a minute.
    timeout: float = Field(
        5, gt=0, le=5, description="Seconds to wait for the connection, for sending, and for the answer, each."
    )


class Jira(Destination[JiraConfig]):
    """One issue for each alert. `ref` is its key: later deliveries comment on it.

    Jira creates twice what is sent twice. So every issue has its delivery's id as a label, and every comment has it as
    its last line; `find` looks for them where an answer was lost.
    """

    kind = "jira"
    config_model = JiraConfig

    def __init__(self, name: str, config: JiraConfig, tools: Tools) -> None:
        super().__init__(name, config, tools)
        token = config.token.get_secret_value()
        self._api = JiraApi(tools, url=config.url, email=config.email, token=token, timeout=config.timeout)
        self._first_missed: dict[str, datetime] = {}

    def render(self, notification: Notification) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "project": {"key": self.config.project},
            "issuetype": {"name": self.config.issue_type},
            "summary": cut_utf16(tell(notification).headline, MAX_SUMMARY),
            "description": alert_document(notification),
            "labels": ["trapline", alert_label(notification), delivery_label(notification), *self.config.labels],
        }
        if priority := self.config.priorities.get(notification.severity):
            fields["priority"] = {"name": priority}
        return fields

    def send(self, notification: Notification, rendered: dict[str, Any], ref: str) -> Outcome:
        try:
            if not ref or notification.kind is Kind.OPENED:
                return self._create(notification, rendered)
            return self._tell(notification, rendered, ref)
        except JiraError as error:
            return error.outcome

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        """Looks for an issue with the delivery's label, and for its comment on the issues of the alert."""
        try:
            found = find_delivery(self._api, notification)
        except JiraError as error:
            if isinstance(error.outcome, Rejected):  # which sending would be, too
                return None
            return Unknown(f"whether it arrived cannot be looked up: {error.outcome.reason}")
        if isinstance(found, Unknown) and not self._is_missing(notification):
            return found
        self._first_missed.pop(notification.delivery_id, None)
        return None if isinstance(found, Unknown) else found

    def check(self) -> str | None:
        """Asks for the project, what the user may do there, and what an issue of this type must have."""
        settings = self.config
        try:
            return what_is_wrong(
                self._api,
                project=settings.project,
                issue_type=settings.issue_type,
                priorities=list(settings.priorities.values()),
            )
        except JiraError as error:
            return error.outcome.reason

    def _create(self, notification: Notification, fields: Mapping[str, Any]) -> Outcome:
        key = str(self._api.post("issue", {"fields": fields}).get("key", ""))
        if not key:
            return Unknown("its answer does not name the issue")
        if notification.kind is Kind.RESOLVED:
            self._close_as_well_as_may_be(key)
        return Delivered(ref=key)

    def _close_as_well_as_may_be(self, key: str) -> None:
        """An issue that is made only now for an alert that is over says so; that is what counts."""
        try:
            self._move(key, self._issue(key), self.config.resolve_transition, closing=True)
        except JiraError:
            return

    def _tell(self, notification: Notification, fields: Mapping[str, Any], key: str) -> Outcome:
        """Brings the issue up to date, which may be repeated without harm, and then comments, which is what counts."""
        try:
            issue = self._issue(key)
            if notification.kind is Kind.RESOLVED:
                note = self._move(key, issue, self.config.resolve_transition, closing=True)
            else:
                moved = self._move(key, issue, self.config.reopen_transition, closing=False)
                note = " ".join(filter(None, (moved, self._change_severity(key, issue, fields))))
            self._api.post(f"{issue_path(key)}/comment", {"body": change_document(notification, note)})
        except JiraError as error:
            if error.status == 404:  # somebody deleted it, or moved it out of sight
                return self._create(notification, fields)
            raise
        return Delivered(ref=key)

    def _issue(self, key: str) -> Issue:
        return read_issue(self._api.get(issue_path(key), QUERY))

    def _move(self, key: str, issue: Issue, wanted: str | None, *, closing: bool) -> str:
        """Closes the issue, or opens it again; says what a person has to know of it."""
        if wanted is None or issue.closed == closing:
            return ""
        transition = issue.transition(wanted)
        if transition is None:
            return f"Trapline cannot move this issue: it offers no transition {wanted!r}. Please do it by hand."
        body = {"transition": {"id": transition}}
        return _unless_refused("move this issue", lambda: self._api.post(f"{issue_path(key)}/transitions", body))

    def _change_severity(self, key: str, issue: Issue, fields: Mapping[str, Any]) -> str:
        """The summary and the priority say how bad it is, unless a person has given the issue another summary."""
        if not issue.says_another_severity(fields["summary"]):
            return ""
        changed = {name: fields[name] for name in ("summary", "priority") if name in fields}
        return _unless_refused("change its severity", lambda: self._api.put(issue_path(key), {"fields": changed}))

    def _is_missing(self, notification: Notification) -> bool:
        """Whether the search had time to learn of it. It was sent before it was first looked for."""
        now = self.tools.now()
        since = self._first_missed.setdefault(notification.delivery_id, now)
        # What is older is looked for at long intervals, and perhaps by a new process each time.
        return now - since >= timedelta(seconds=self.config.search_lag) or now - notification.at >= _LOOKED_FOR_SELDOM


def _unless_refused(what: str, change: Callable[[], object]) -> str:
    """Makes a change without which the delivery is still one; says so where Jira does not let it pass."""
    try:
        change()
    except JiraError as error:
        if error.status not in _REFUSALS:
            raise
        said = error.words.rstrip(".") or str(error.status)
        return f"Trapline cannot {what}: Jira said {said}. Please do it by hand."
    return ""
