"""What a process says beside a command's answer, log lines and tracebacks: no secret, and nothing a terminal obeys."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType

from trapline.config.redact import hide_known_secrets
from trapline_plugins.text import visible

PLAIN = "%(message)s"
WITH_TIMES = "%(asctime)s %(levelname)s %(message)s"


class Line(logging.Formatter):
    """Log lines, tracebacks included, in which nothing that a rule or a record says can speak to the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return _clean(super().format(record))


def set_up(layout: str = PLAIN) -> None:
    """Brings log lines, warnings and tracebacks of this process to standard error, cleaned."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(layout))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _crashed
    threading.excepthook = _thread_crashed


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(_clean(text))


def _thread_crashed(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _crashed(args.exc_type, args.exc_value, args.exc_traceback)


def _clean(text: str) -> str:
    return "\n".join(visible(line) for line in hide_known_secrets(text).split("\n"))
