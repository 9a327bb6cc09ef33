"""A forge's side of git for tests: repositories behind a token, by git's own HTTP server on a real socket."""

from __future__ import annotations

import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Forge:
    """What a server demands and has seen."""

    root: Path
    users: set[str] = field(default_factory=set)  # `user:token`; nobody is asked where there are none
    leads_to: str = ""
    seen: list[str | None] = field(default_factory=list)
    url: str = ""

    def admits(self, header: str | None) -> bool:
        return not self.users or header in {f"Basic {b64encode(user.encode()).decode()}" for user in self.users}


class _Handler(BaseHTTPRequestHandler):
    forge: Forge

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        header = self.headers["Authorization"]
        self.forge.seen.append(header)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.forge.leads_to:
            self._send(302, [("Location", self.forge.leads_to + self.path)])
        elif not self.forge.admits(header):
            self._send(401, [("WWW-Authenticate", 'Basic realm="forge"')])
        else:
            self._run_backend(body)

    def _run_backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "GIT_PROJECT_ROOT": str(self.forge.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "HTTP_GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, input=body, capture_output=True, check=True, env=os.environ | environment)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self._send(status, headers, content)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(forge: Forge, *, repository: str = "origin/.git") -> Iterator[Forge]:
    """Serves what lies beneath the forge's root; its `url` is that of one repository there."""
    handler = type("Handler", (_Handler,), {"forge": forge})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        forge.url = f"http://127.0.0.1:{server.server_address[1]}/{repository}"
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()
