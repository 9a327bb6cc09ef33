"""Bringing an index here, from the web or from this disk. What was brought once can be read without the other side."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx

from trapline.author.registry.index import MAX_BYTES, BrokenIndex, Index, read
from trapline.clock import Clock
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline_plugins.text import one_line

SECONDS = 10.0
"""The longest that a step of a fetch may take, such as connecting; all of it may take three times as long."""

_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_ETAG = 200
_AGAIN = "it is asked again the next time; correct its address under `registries:` if it is elsewhere"


class Unreachable(TraplineError):
    """An index could not be brought."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one place. `age` is that of a kept copy, None where it is as it is there now; `problem` says why."""

    place: str
    index: Index | None
    age: timedelta | None = None
    problem: TraplineError | None = None


@dataclass(frozen=True, slots=True)
class _Copy:
    index: Index
    content: bytes
    etag: str
    asked_at: datetime


def read_file(path: Path, place: str) -> Found:
    """An index on this disk."""
    try:
        with path.open("rb") as file:
            return Found(place, read(file.read(MAX_BYTES + 1), place))
    except OSError as error:
        message = f"the index {place} cannot be read: {error.strerror}"
        return Found(place, None, problem=Unreachable(message, remedy="correct its path under `registries:`"))
    except BrokenIndex as error:
        return Found(place, None, problem=error)


def fetch(url: str, *, cache: Path, http: httpx.Client | None, now: Clock) -> Found:
    """An index of the web, kept in `cache`; without `http` nobody is asked."""
    file = cache / f"{fingerprint(url.encode())[:32]}.index"
    copy = _kept(file, url)
    problem: TraplineError | None = None
    if http is not None:
        try:
            content, etag = _ask(http, url, copy)
            index = read(content, url)
        except (Unreachable, BrokenIndex) as error:
            problem = error
        else:
            _keep(file, url, etag, content, now())
            return Found(url, index)
    if copy is None:
        unknown = Unreachable(f"the index {url} was never fetched", remedy="leave --offline out once")
        return Found(url, None, problem=problem or unknown)
    return Found(url, copy.index, max(now() - copy.asked_at, timedelta()), problem)


def _ask(http: httpx.Client, url: str, copy: _Copy | None) -> tuple[bytes, str]:
    """What is there now, and its ETag; the copy itself where it is that. Raises Unreachable."""
    etag = copy.etag if copy else ""
    # Nothing that unpacks to more than it weighs.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | ({"If-None-Match": etag} if etag else {})
    end = monotonic() + 3 * SECONDS
    target = httpx.URL(url)
    try:
        for _ in range(_HOPS):
            with http.stream("GET", target, headers=headers, timeout=SECONDS, follow_redirects=False) as response:
                if response.status_code in _REDIRECTS:
                    target = _next(url, target, response.headers.get("Location", ""))
                elif response.status_code == httpx.codes.NOT_MODIFIED and copy:
                    return copy.content, copy.etag
                elif response.status_code != httpx.codes.OK:
                    raise _unreachable(url, f"the answer is {response.status_code}")
                else:
                    return _body(url, response, end), _etag(response)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise _unreachable(url, str(error) or type(error).__name__) from error
    raise _unreachable(url, f"it leads elsewhere more than {_HOPS} times")


def _next(url: str, target: httpx.URL, location: str) -> httpx.URL:
    following = target.join(location)
    if following.scheme != target.scheme:
        raise _unreachable(url, f"it leads away from {target.scheme}:// to {following.scheme}://")
    return following


def _body(url: str, response: httpx.Response, end: float) -> bytes:
    content = bytearray()
    for piece in response.iter_raw():
        content += piece
        if len(content) > MAX_BYTES:
            raise _unreachable(url, f"it has more than {MAX_BYTES // 2**20} MiB")
        if monotonic() > end:
            raise _unreachable(url, f"it did not come within {3 * SECONDS:g} s")
    return bytes(content)


def _etag(response: httpx.Response) -> str:
    etag = str(response.headers.get("ETag", ""))
    return etag if len(etag) <= _LONGEST_ETAG and etag.isascii() and etag.isprintable() else ""


def _unreachable(url: str, why: str) -> Unreachable:
    return Unreachable(one_line(f"the index {url} cannot be fetched: {why}"), remedy=_AGAIN)


def _kept(file: Path, url: str) -> _Copy | None:
    """The copy that was kept; None where there is none that can be used."""
    try:
        head, _, content = file.read_bytes().partition(b"\n")
        said = json.loads(head)
        asked_at = datetime.fromisoformat(said["asked_at"]).astimezone(UTC)
        return _Copy(read(content, url), content, str(said["etag"]), asked_at)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, BrokenIndex):
        return None


def _keep(file: Path, url: str, etag: str, content: bytes, now: datetime) -> None:
    """Puts a copy in place in one step. Where that fails, it is fetched whole the next time."""
    head = json.dumps({"url": url, "etag": etag, "asked_at": now.isoformat()}).encode()
    write(file, head + b"\n" + content)


def write(file: Path, content: bytes) -> None:
    """Writes a file of the cache whole, or not at all: without it all is made or fetched again."""
    half = file.with_name(f".{uuid.uuid4().hex}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
        half.replace(file)
    except OSError:
        with suppress(OSError):
            half.unlink(missing_ok=True)
