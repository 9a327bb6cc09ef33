"""Serves an application on one address, in threads of its own, and is gone without a trace afterwards."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.wasyncore import close_all

from trapline.errors import TraplineError
from trapline.web.app import MAX_BODY

THREADS = 4
CONNECTIONS = 100
SECONDS_TO_ASK = 10
"""A request is there whole after so long, however slowly its bytes drip, or its connection is closed."""

_MAX_HEADERS = 32 * 1024
_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@contextmanager
def serving(app: Flask, listen: str) -> Iterator[str]:
    """Answers on HOST:PORT while the context lasts, and yields the base URL. Port 0 is any free one."""
    server = _Server(app, _bind(listen))
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.end()
        thread.join()


def _bind(listen: str) -> socket.socket:
    remedy = "give --listen as HOST:PORT, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080; port 0 is any free one"
    matched = _LISTEN.fullmatch(listen)
    if not matched or int(matched[2]) > 65_535:
        raise TraplineError(f"{listen!r} is no address to listen on", remedy=remedy)
    try:
        found = socket.getaddrinfo(matched[1].strip("[]"), int(matched[2]), type=socket.SOCK_STREAM)
        family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)  # localhost is 127.0.0.1
        return socket.create_server(address, family=family)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        why = said.partition(" (while ")[0] if said else "that is no name of a host"
        raise TraplineError(f"cannot listen on {listen}: {why}", remedy=remedy) from None


class _Channel(HTTPChannel):
    """A connection that knows since when its next request has been on the way."""

    began = 0.0

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.began = time.time()
        return super().received(data)


class _Server(TcpWSGIServer):
    """Waitress, with an end to every request that does not come and an end to itself."""

    channel_class = _Channel
    # The published types have these wrong, or not at all.
    active_channels: Any
    trigger: Any
    _map: Any

    def __init__(self, app: Flask, sock: socket.socket) -> None:
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a hundred hooks at once are no news
        options: dict[str, Any] = {
            "threads": THREADS,
            "connection_limit": CONNECTIONS,
            "channel_timeout": SECONDS_TO_ASK,
            "cleanup_interval": 1,
            "max_request_header_size": _MAX_HEADERS,
            "max_request_body_size": MAX_BODY + 1,  # refused as soon as it is announced or reached, without the rest
            "inbuf_overflow": 2 * MAX_BODY,  # so that no body is ever in a temporary file
            "asyncore_use_poll": True,  # select() ends at file 1,024
            "log_socket_errors": False,
            "ident": None,
        }
        where = (sock.family, sock.type, sock.proto, sock.getsockname())
        super().__init__(app, _sock=sock, bind_socket=False, sockinfo=where, **options)

    @property
    def url(self) -> str:
        host, port = self.getsockname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def maintenance(self, now: float) -> None:
        """Waitress ends connections on which nothing comes; these end where too little does."""
        super().maintenance(int(now))
        for channel in self.active_channels.values():
            if channel.request is not None and channel.began < now - SECONDS_TO_ASK:
                channel.will_close = True

    def end(self) -> None:
        """Finishes the answers under way and closes every connection; `run` returns soon after."""
        self.task_dispatcher.shutdown()
        self.trigger.pull_trigger(lambda: close_all(self._map))
