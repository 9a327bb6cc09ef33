"""The double's server: moto's, with queries that run, faults, and a few pages of its own below /double/.

`python -m tests.athena.server` prints its address and runs until its standard input ends, so that it never outlives
whoever started it.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click
from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.athena.backend import install
from tests.athena.double import CONCURRENCY
from tests.athena.faults import Fault, Faults
from tests.athena.objects import Objects
from tests.athena.queries import Queries, Query

HOST = "127.0.0.1"
_SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Application:
    """The WSGI application: faults first, then moto."""

    def __init__(self, objects: Objects, queries: Queries, faults: Faults) -> None:
        self._dispatcher = DomainDispatcherApplication(create_backend_app)
        self._objects = objects
        self._queries = queries
        self._faults = faults

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/double/"):
            status, body = self._own(environ)
            return _answer(start_response, status, body)
        fault = self._faults.of_call(operation(environ))
        if fault is None:
            return self._moto(environ, start_response)
        if fault.kind == "throttle":
            if _of_s3(environ):
                return _answer(start_response, "503 Slow Down", _SLOW_DOWN, "application/xml")
            return _answer(start_response, "400 Bad Request", {"__type": fault.code, "Message": "Rate exceeded"})
        if fault.kind == "server-error":
            problem = {"__type": "InternalServerException", "Message": "Internal server error"}
            return _answer(start_response, "500 Internal Server Error", problem)
        self._moto(environ, lambda *_: None)
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("the answer is lost, as was asked for")

    def _moto(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not _of_s3(environ):
            return list(self._dispatcher(environ, start_response))
        with self._objects.lock:
            return list(self._dispatcher(environ, start_response))

    def _own(self, environ: dict[str, Any]) -> tuple[str, Any]:
        """The double's own pages."""
        called = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if called == ("GET", "/double/queries"):
            return "200 OK", [_summary(query) for query in self._queries.all()]
        if called == ("GET", "/double/faults"):
            return "200 OK", [fault.as_dict() for fault in self._faults.pending]
        if called == ("DELETE", "/double/faults"):
            self._faults.clear()
            return "200 OK", []
        if called == ("POST", "/double/reset"):
            self._faults.clear()
            self._queries.forget()
            BackendDict.reset()
            return "200 OK", {}
        if called == ("POST", "/double/faults"):
            try:
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                self._faults.add(Fault.read(json.loads(body)))
            except (ValueError, TypeError) as error:
                return "400 Bad Request", {"message": str(error)}
            return "200 OK", [fault.as_dict() for fault in self._faults.pending]
        return "404 Not Found", {"message": "there are /double/queries, /double/faults and /double/reset"}


def _of_s3(environ: dict[str, Any]) -> bool:
    """Whether a call is for S3: its calls alone have no name in the head, but for those of STS, which are in a form."""
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    return "HTTP_X_AMZ_TARGET" not in environ and not form


def operation(environ: dict[str, Any]) -> str:
    """The name of the call, such as `StartQueryExecution`; of S3's calls, which carry no names, the usual ones."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rpartition(".")[2]
    asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    method, key = environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/").partition("/")[2]
    if method == "GET":
        return "GetObject" if key else "ListObjectsV2" if "list-type" in asked else "GetBucket"
    if method == "POST":
        return "DeleteObjects" if "delete" in asked else "PostObject"
    return {"PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(method, method)


def _answer(start_response: Any, status: str, body: Any, kind: str = "application/json") -> Iterable[bytes]:
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(content)))])
    return [content]


def _summary(query: Query) -> dict[str, Any]:
    return {
        "id": query.id,
        "sql": query.asked.text,
        "state": query.state,
        "reason": query.reason,
        "bytes": query.bytes,
        "token": query.asked.token,
        "workgroup": query.asked.workgroup,
        "database": query.asked.database,
        "submitted": query.submitted,
        "started": query.started,
        "ended": query.ended,
    }


class _Handler(MotoRequestHandler):
    def log(self, kind: str, message: str, *arguments: Any) -> None:
        """Says nothing: what was asked can be looked up."""


@contextmanager
def serving(port: int, *, concurrency: int, running: int, rows_per_file: int) -> Iterator[int]:
    """Serves in threads of this process, and gives the port."""
    with tempfile.TemporaryDirectory(prefix="athena-double-") as folder:
        faults = Faults()
        objects = Objects(Path(folder))
        queries = Queries(objects, faults, running=running, rows_per_file=rows_per_file)
        install(queries, limit=concurrency)
        server = make_server(HOST, port, Application(objects, queries, faults), threaded=True, request_handler=_Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            queries.forget()
            server.shutdown()
            thread.join()
            server.server_close()


@click.command()
@click.option("--port", default=0, help="By default any that is free.")
@click.option("--concurrency", default=CONCURRENCY, show_default=True, help="Queries queued and running at once.")
@click.option("--running", default=4, show_default=True, help="Of those, how many run at once.")
@click.option("--rows-per-file", default=50_000, show_default=True, help="Rows in a file that UNLOAD writes.")
def main(port: int, concurrency: int, running: int, rows_per_file: int) -> None:
    """Run the server until the standard input ends."""
    with serving(port, concurrency=concurrency, running=running, rows_per_file=rows_per_file) as taken:
        print(f"http://{HOST}:{taken}", flush=True)
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
