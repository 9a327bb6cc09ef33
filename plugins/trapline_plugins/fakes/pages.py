"""What the pages of the fakes have in common, and how a fake is run by hand to look at them."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from html import escape
from typing import Any

from trapline_plugins.fake_server import Answer


def answer_page(title: str, style: str, body: str) -> Answer:
    """A page, as the answer to who asks for `/`. `body` is HTML: whatever was received must be escaped in it."""
    head = f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{style}</style>"
    # Should something be unescaped all the same, no browser runs or loads it.
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    )
    return Answer(200, f"{head}{body}".encode(), headers)


def literal(text: Any) -> str:
    """The text as HTML that shows it as it is."""
    return escape(str(text))


def run_by_hand(fake: Callable[..., AbstractContextManager[Any]], setting: Callable[[Any], str], *, what: str) -> None:
    """Runs a fake until it is interrupted, and says how a destination is configured to deliver to it."""
    parser = argparse.ArgumentParser(description=f"Runs a fake {what} on this machine, which shows what it is sent.")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; any free one by default")
    port = parser.parse_args().port
    try:
        with fake(port=port) as running:
            sys.stdout.write(_told(running.url, setting(running), what))
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return
    except OSError as error:
        parser.error(f"the port {port} cannot be listened on: {error.strerror}")


def _told(url: str, setting: str, what: str) -> str:
    page = "/".join(url.split("/")[:3])
    return f"""A fake {what} runs until you press Ctrl-C. It shows what it holds at {page}/

In trapline.yml:

destinations:
  fake_{what.lower()}:
{setting}
"""
