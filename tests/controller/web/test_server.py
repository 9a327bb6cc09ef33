"""The server: where it listens, who cannot hold it up, and that nothing of it is left."""

from __future__ import annotations

import gc
import re
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.controller.web.site import SECRET, Run, Site
from trapline.errors import TraplineError
from trapline.web import server
from trapline.web.app import MAX_BODY

TOKEN = {"X-Gitlab-Token": SECRET.decode()}
HEAD = b"POST /hooks/gitlab HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: " + SECRET + b"\r\n"


def connect(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.port), timeout=10)


def everything(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    said = b""
    while part := client.recv(65536):
        said += part
    return said


def status(answer: bytes) -> int:
    matched = re.match(rb"HTTP/1\.[01] (\d+) ", answer)
    assert matched, answer
    return int(matched[1])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests have three seconds to come."""
    monkeypatch.setattr(server, "SECONDS_TO_ASK", 3)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", "[::1]:0"])
def test_where_it_listens(run: Run, listen: str) -> None:
    if listen.startswith("[") and not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    with run(listen=listen) as site:
        assert site.get("/healthz").status_code == 200
        assert str(site.http.base_url).startswith(
            f"http://{listen.rpartition(':')[0].replace('localhost', '127.0.0.1')}:"
        )


NO_ADDRESSES = """
    8080 :8080 127.0.0.1 127.0.0.1: 127.0.0.1:http 127.0.0.1:65536 127.0.0.1:-1 ::1:8080 *:8080 http://127.0.0.1:8080
    [127.0.0.1:80 127.0.0.1:٣
"""


@pytest.mark.parametrize("listen", [*NO_ADDRESSES.split(), "", "127.0.0.1:80 80", "a\nb:80"])
def test_what_is_no_address_is_refused_with_the_form(run: Run, listen: str) -> None:
    with pytest.raises(TraplineError, match="is no address to listen on") as caught, run(listen=listen):
        pass
    assert "--listen as HOST:PORT" in caught.value.remedy


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("host.invalid:0", "cannot listen on host.invalid:0: "),
        ("192.0.2.1:0", "Cannot assign requested address$"),
        ("a..b:0", "that is no name of a host"),
        ("[1.2.3.4:]:0", "cannot listen on"),
    ],
)
def test_an_address_that_cannot_be_had_says_why(run: Run, listen: str, why: str) -> None:
    with pytest.raises(TraplineError) as caught, run(listen=listen):
        pass
    assert re.search(why, caught.value.message)


def test_an_address_that_is_taken_says_so(run: Run, site: Site) -> None:
    with pytest.raises(TraplineError, match="Address already in use"), run(listen=f"127.0.0.1:{site.port}"):
        pass


@pytest.mark.usefixtures("impatient")
def test_clients_that_drip_hold_nobody_up_and_are_dropped(run: Run) -> None:
    with run() as site, ExitStack() as ends:
        dripping = [ends.enter_context(connect(site)) for _ in range(20)]
        for number, client in enumerate(dripping):  # some in the middle of the headers, some of the body
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" if number % 2 else b"POST / HTTP/1.1\r\nX: ")
        began = monotonic()
        assert site.get("/healthz").status_code == 200
        assert site.post("/hooks/gitlab", b"{}", TOKEN).status_code == 202
        assert monotonic() - began < 2.5
        while dripping and monotonic() - began < 30:
            dripping = [client for client in dripping if drips(client)]
            sleep(0.1)
        assert dripping == []
        assert site.hints == ["gitlab"]


def drips(client: socket.socket) -> bool:
    """Whether the other side still takes bytes."""
    client.setblocking(False)
    try:
        client.send(b"X")
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@pytest.mark.usefixtures("impatient")
def test_more_silent_clients_than_there_is_room_for_make_others_wait_and_not_give_up(run: Run) -> None:
    with run() as site, ExitStack() as ends:
        for _ in range(server.CONNECTIONS + 20):
            ends.enter_context(connect(site))
        assert site.get("/healthz").status_code == 200


def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(site: Site) -> None:
    with connect(site) as client:
        client.sendall(HEAD + b"Content-Length: 1000000000000\r\n\r\n")
        assert status(everything(client)) == 413


def test_a_body_in_chunks_is_cut_off_where_it_is_too_large(site: Site) -> None:
    sent = 0
    with connect(site) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while sent < 50 * MAX_BODY:
                client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
    assert sent < 20 * MAX_BODY  # what fits in the system's buffers is none of the server's
    assert site.hints == []


def test_a_body_in_chunks_that_end_is_taken(site: Site) -> None:
    with connect(site) as client:
        client.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        assert status(everything(client)) == 202
    assert site.hints == ["gitlab"]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (HEAD + b"Content-Length: 1\r\n\r\n{}" + b"x" * 2 * MAX_BODY, 202),  # what follows is another request
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),  # somebody tries TLS
        (b"GET /healthz HTTP/1.1 and more\r\n\r\n", 400),
    ],
)
def test_requests_that_lie_or_make_no_sense(site: Site, request_: bytes, answer: int) -> None:
    with connect(site) as client:
        with suppress(ConnectionError):
            client.sendall(request_)
        assert status(client.recv(1000)) == answer
    assert site.get("/healthz").status_code == 200
    assert len(site.hints) == (answer == 202)


def test_nothing_is_left(run: Run) -> None:
    threads, files = threading.active_count(), open_files()
    for _ in range(3):
        with run() as site, connect(site) as half, connect(site) as silent:
            half.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 500_000)
            assert site.get("/healthz").status_code == 200
            began = monotonic()
        assert monotonic() - began < 10  # and not as long as a request may take
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", site.port))
        assert silent.fileno() == -1
    deadline = monotonic() + 5
    while threading.active_count() > threads and monotonic() < deadline:
        sleep(0.01)  # a thread that has done its work still needs a moment
    assert threading.active_count() <= threads
    gc.collect()
    assert open_files() <= files  # fewer, where the litter of an earlier test was collected meanwhile


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))
