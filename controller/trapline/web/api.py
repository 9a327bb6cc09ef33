"""The API under `/api/`: alerts listed, shown and resolved by programs that show the token."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request

from trapline.alerts.resolve import resolve_alert
from trapline.alerts.store import deliveries_of, find_alert, list_alerts, matches_of, without_content
from trapline.errors import TraplineError
from trapline.state.database import Database, StateError
from trapline_plugins.text import one_line, plain

MOST_ALERTS = 1_000
"""So many alerts one answer lists at most."""

_LONGEST_NAME = 100
_LONGEST_REASON = 1_000
_STATUSES = ("open", "resolved")


class _Refused(Exception):
    """What is answered instead: a status of HTTP, and a line that says what is wrong and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def make_api(database: Database, *, token: Callable[[], bytes], now: Callable[[], datetime]) -> Blueprint:
    """The API over a state database. Without a token everything is refused."""
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.before_request
    def _let_in() -> None:
        if not token():
            raise _Refused(403, "nothing is answered here until TRAPLINE_API_TOKEN is set for the controller")
        shown = request.headers.get("Authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(shown, b"Bearer " + token()):
            raise _Refused(401, "expected Authorization: Bearer with the token of the controller's API")

    @api.get("/alerts")
    def _list() -> Response:
        status, detection = request.args.get("status"), request.args.get("detection")
        if status not in (None, *_STATUSES):
            raise _Refused(400, f"status is one of: {', '.join(_STATUSES)}")
        limit = request.args.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_ALERTS):
            raise _Refused(400, f"limit is a number from 1 to {MOST_ALERTS}")
        return _answer(list_alerts(database, detection=detection, status=status, limit=int(limit)))

    @api.get("/alerts/<alert_id>")
    def _show(alert_id: str) -> Response:
        alert = find_alert(database, alert_id)
        said = [without_content(delivery) for delivery in deliveries_of(database, alert["id"])]
        return _answer({**alert, "matches": matches_of(database, alert["id"]), "deliveries": said})

    @api.post("/alerts/<alert_id>/resolve")
    def _resolve(alert_id: str) -> Response:
        content = _content()
        by = one_line(_text(content, "by") or "api", _LONGEST_NAME)
        reason = one_line(_text(content, "reason"), _LONGEST_REASON)
        alert, resolved = resolve_alert(database, alert_id, by=by, reason=reason, now=now())
        return _answer({**alert, "resolved_now": resolved})

    @api.errorhandler(_Refused)
    def _refuse(error: _Refused) -> Response:
        return _answer({"error": error.message}, error.status)

    @api.errorhandler(TraplineError)
    def _explain(error: TraplineError) -> Response:
        return _answer({"error": str(error)}, 503 if isinstance(error, StateError) else 404)

    return api


def _content() -> Mapping[str, Any]:
    """The body as a JSON object; an empty one says nothing."""
    body = request.get_data(cache=False)
    try:
        content = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _Refused(400, 'the body is no JSON object such as {"by": "carol", "reason": "a drill"}')
    return content


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key, "")
    if not isinstance(value, str):
        raise _Refused(400, f"`{key}` is no text")
    return value


def _answer(content: Any, status: int = 200) -> Response:
    response = Response(json.dumps(plain(content)) + "\n", status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
