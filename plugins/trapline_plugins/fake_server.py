"""A fake other side for tests: a real HTTP server on a socket of this machine, which answers as it is told."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """What the fake other side answers. Without a status it takes the request and then breaks the connection."""

    status: int | None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What the fake other side received. Header names are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class FakeServer:
    """Where the server is, and what it has received so far."""

    url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Request], Answer], port: int = 0) -> Iterator[FakeServer]:
    """Runs a server that asks `answer` about every request, each in a thread of its own; on any free port for 0."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            fake.requests.append(request)
            self._reply(answer(request))

        do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def _reply(self, reply: Answer) -> None:
            if reply.status is None:
                # Closing with nothing to linger for sends a reset instead of an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self.send_response(reply.status)
            ours = (("Content-Length", str(len(reply.body))), ("Connection", "close"))
            for name, value in (*reply.headers, *ours):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: tests look at what was received instead."""

    class Server(ThreadingHTTPServer):
        block_on_close = False  # an answer that a test holds back must not hold up its end

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: a client that gave up is part of some tests."""

    server = Server(("127.0.0.1", port), Handler)
    fake = FakeServer(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
