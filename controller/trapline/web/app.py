"""The pages: `/hooks/FORGE`, `/healthz`, `/readyz` and the API. Each answers at once and says no more than it must."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from trapline.web.hooks import FORGES, Accepted, Forge, Ignored, Ping, Refused, Verdict

MAX_BODY = 2**20
"""The largest body of a webhook, in bytes."""

_QUIET_SECONDS = 60.0
_LONGEST_REF = 200

log = logging.getLogger("trapline")


@dataclass(frozen=True, slots=True)
class Health:
    """How something is. `detail` is shown to everybody who can reach the address."""

    ok: bool
    detail: Mapping[str, Any]


def make_app(
    *,
    hint: Callable[[str], None],
    health: Callable[[], Health],
    ready: Callable[[], Health],
    hook_secret: Callable[[], bytes],
    ref: str,
    api: Blueprint | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Flask:
    """The application. `hint` gets the forge's name and must not block; without a `hook_secret` hooks are refused."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False  # or `//healthz` would be a redirect
    app.register_error_handler(HTTPException, _plainly)
    complain = _Complaints(monotonic)

    def hook(name: str, forge: Forge) -> Callable[[], Response]:
        def answer() -> Response:
            secret = hook_secret()
            if not secret:
                complain(name, "TRAPLINE_HOOK_SECRET is not set")
                return _text(403, "no webhook is taken here until TRAPLINE_HOOK_SECRET is set for the controller")
            headers = {header.lower(): value for header, value in request.headers}
            verdict = forge(headers, request.get_data(cache=False), secret=secret, ref=ref)
            if isinstance(verdict, Refused):
                complain(name, "the secret was not shown, or a wrong one")
            if isinstance(verdict, Accepted):
                hint(name)
            return _said(verdict)

        return answer

    for name, forge in FORGES.items():
        _route(app, f"/hooks/{name}", "POST", hook(name, forge))
    if api is not None:
        app.register_blueprint(api)
    _route(app, "/healthz", "GET", lambda: _shown(health()))
    _route(app, "/readyz", "GET", lambda: _shown(ready()))
    return app


class _Complaints:
    """Says in the log that hooks were refused: for each reason once a minute, however many there are."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}  # when, and how many since

    def __call__(self, name: str, reason: str) -> None:
        now = self._monotonic()
        with self._lock:
            at, more = self._said.get((name, reason), (now - _QUIET_SECONDS, 0))
            quiet = now - at < _QUIET_SECONDS
            self._said[name, reason] = (at, more + 1) if quiet else (now, 0)
        if not quiet:
            others = f", and {more} others since the last such line" if more else ""
            log.warning("refused a webhook at /hooks/%s from %s: %s%s", name, request.remote_addr, reason, others)


def _route(app: Flask, path: str, method: str, view: Callable[[], Response]) -> None:
    app.add_url_rule(path, endpoint=path, view_func=view, methods=[method], provide_automatic_options=False)


def _said(verdict: Verdict) -> Response:
    match verdict:
        case Accepted():
            return _json(202, {"accepted": True})
        case Ping():
            return _json(200, {"pong": True})
        case Ignored(ref):
            return _json(202, {"ignored": f"nobody follows {ref[:_LONGEST_REF]}"})
        case Refused(expected):
            return _text(401, f"expected {expected}")


def _shown(health: Health) -> Response:
    return _json(200 if health.ok else 503, health.detail)


def _json(status: int, content: Mapping[str, Any]) -> Response:
    response = Response(json.dumps(dict(content), default=str) + "\n", status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _text(status: int, text: str) -> Response:
    return Response(f"{text}\n", status, mimetype="text/plain")


def _plainly(error: HTTPException) -> Any:
    """Errors of HTTP in one plain line, their headers (such as Allow) kept."""
    response = error.get_response()
    response.set_data(f"{error.name}\n")
    response.mimetype = "text/plain"
    return response
