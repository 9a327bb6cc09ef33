"""Finding again what was sent to Jira: issues by their labels, comments by their last line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trapline_plugins.adf import delivery_marker, has_text
from trapline_plugins.api import Delivered, Kind, Notification, Unknown
from trapline_plugins.jira_api import JiraApi, JiraError, as_dict, as_dicts

_PAGE = 100
_MOST_COMMENTS = 5 * _PAGE


def alert_label(notification: Notification) -> str:
    """The label of all issues about an alert."""
    return f"trapline-alert-{_plain_id(notification.alert_id)}"


def delivery_label(notification: Notification) -> str:
    """The label of the one issue that a delivery created."""
    return f"trapline-delivery-{_plain_id(notification.delivery_id)}"


def issue_path(key: str) -> str:
    """Where the API has an issue."""
    return f"issue/{quote(key, safe='')}"


def find_delivery(api: JiraApi, notification: Notification) -> Delivered | Unknown | None:
    """What became of a delivery; Unknown where Jira's search knows no issue, for it learns of new ones after a while.

    Raises JiraError where Jira does not tell.
    """
    query = f'labels = "{alert_label(notification)}" ORDER BY created DESC'
    answer = api.get("search/jql", {"jql": query, "fields": "labels", "maxResults": "20"})
    issues = {
        str(issue.get("key")): as_dict(issue.get("fields")).get("labels") or []
        for issue in as_dicts(answer.get("issues"))
    }
    for key, labels in issues.items():
        if delivery_label(notification) in labels:
            return Delivered(ref=key)
    if notification.kind is not Kind.OPENED:
        comments = {key: latest for key in issues if (latest := _latest_comments(api, key)) is not None}
        for key, found in comments.items():
            if any(has_text(comment.get("body"), delivery_marker(notification)) for comment in found):
                return Delivered(ref=key)
        if comments:
            return None  # of comments Jira knows at once
    return Unknown("Jira's search does not know it, or not yet")


def _latest_comments(api: JiraApi, key: str) -> list[Mapping[str, Any]] | None:
    """The latest comments on an issue; None where it was deleted, which the search does not know at once either."""
    found: list[Mapping[str, Any]] = []
    for start in range(0, _MOST_COMMENTS, _PAGE):
        query = {"orderBy": "-created", "startAt": str(start), "maxResults": str(_PAGE)}
        try:
            page = as_dicts(api.get(f"{issue_path(key)}/comment", query).get("comments"))
        except JiraError as error:
            if error.status == 404:
                return None
            raise
        found += page
        if len(page) < _PAGE:
            break
    return found


def _plain_id(id: str) -> str:
    """The id, where it can be a part of a label and stand in a query as it is."""
    if re.fullmatch(r"[A-Za-z0-9._-]{1,200}", id):
        return id
    return hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
