"""What an HTTP answer, or its absence, means for a delivery: one reading for every destination that speaks HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from trapline_plugins.api import Delivered, Outcome, Rejected, Retry, Unknown

MAX_ANSWER = 8 * 1024 * 1024
"""The longest answer that is read; a hostile one could be endless."""

# Nothing of the request can have reached the other side's application.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# The request itself is not one that can be sent; the next attempt would be no better.
_NEVER_SENT = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


def web_address(text: str) -> str:
    """The text, where it is an address to send to. Raises ValueError, for the use in settings, where it is not."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("this is not an http:// or https:// address")
    return text


def outcome_of_status(response: httpx.Response, now: datetime) -> Outcome:
    """Reads the status code (and Retry-After) alone: no byte of the answer's text goes into a reason."""
    status = response.status_code
    answered = f"it answered {status} {httpx.codes.get_reason_phrase(status)}".rstrip()
    if response.is_success:
        return Delivered()
    if status in (408, 425, 429) or status >= 500:
        return Retry(answered, after=retry_after(response, now))
    if response.is_redirect:
        return Rejected(f"{answered}; redirects are not followed, so name the address it leads to")
    return Rejected(answered)


def outcome_of_error(error: httpx.HTTPError | httpx.InvalidURL) -> Retry | Rejected | Unknown:
    """Tells a request that never left (Retry) from one whose answer was lost (Unknown)."""
    if isinstance(error, _NOT_SENT):
        return Retry(f"no connection: {_say(error)}")
    if isinstance(error, (*_NEVER_SENT, httpx.InvalidURL)):
        return Rejected(f"the request cannot be sent: {type(error).__name__}")
    return Unknown(f"sent, and no answer came: {_say(error)}")


def retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """The Retry-After header, in seconds or as a date; None where it is absent or unreadable."""
    value = response.headers.get("retry-after", "").strip()
    try:
        if value.isascii() and value.isdigit():
            return timedelta(seconds=int(value))
        at = parsedate_to_datetime(value)
        return max(at.replace(tzinfo=at.tzinfo or UTC) - now, timedelta(0))
    except (ValueError, OverflowError):
        return None


def read_object(response: httpx.Response) -> dict[str, Any] | None:
    """The JSON object that a streamed answer is; None where it is something else. Raises ValueError where too long."""
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise ValueError("its answer is too long")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _say(error: Exception) -> str:
    if isinstance(error, httpx.RemoteProtocolError):  # its words quote the answer, which may quote the request
        return "it broke off, or was not HTTP"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
