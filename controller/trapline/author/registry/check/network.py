"""Code that wants a network: the sandbox has none, so that such a rule fails at its users'."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trapline.author.validation.advice.subject import Subject
from trapline.detection.inference.parse import Unreadable, parse, quietly
from trapline.errors import Problem

_STANDARD = (
    *("ftplib", "http.client", "http.server", "imaplib", "nntplib", "poplib", "smtplib", "socket", "socketserver"),
    *("ssl", "telnetlib", "urllib.request", "xmlrpc"),
)
_OTHERS = (
    *("aiobotocore", "aioboto3", "aiohttp", "boto3", "botocore", "dns", "grpc", "httplib2", "httpx", "paramiko"),
    *("pycurl", "pymysql", "psycopg", "psycopg2", "redis", "requests", "slack_sdk", "urllib3", "websocket"),
    *("websockets", "azure", "google.cloud", "googleapiclient", "kubernetes"),
)
_MODULES = frozenset({*_STANDARD, *_OTHERS})
DISTRIBUTIONS = frozenset(
    {name.replace("_", "-") for name in _OTHERS if "." not in name}
    | {"dnspython", "grpcio", "google-api-python-client", "psycopg-binary", "psycopg2-binary", "websocket-client"}
    - {"dns", "grpc", "azure", "websocket"}
)
"""What the modules come in, by the names that packages have in an index."""


def network(subject: Subject) -> Iterator[Problem]:
    """An error at each import of a module that speaks to others, in the script and all that it brings."""
    detection = subject.detection
    for file, content in sorted(((name, file.content) for name, file in detection.files.items())):
        if not file.endswith(".py"):
            continue
        try:
            with quietly():
                tree = parse(content)
        except Unreadable:  # which validating tells
            continue
        for line, column, module in _imports(tree):
            message = f"it imports `{module}`, and the sandbox has no network"
            remedy = "tell it from the record; bring small data along as a file"
            yield Problem(detection.place(file), line, "error", "needs-network", message, remedy, column)


def _imports(tree: ast.AST) -> Iterator[tuple[int, int, str]]:
    for node in ast.walk(tree):
        for name in _named(node):
            if found := _speaks(name):
                yield node.lineno, node.col_offset + 1, found  # type: ignore[attr-defined]  # all that name have both


def _named(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(str(module), names, 0):
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.Call(ast.Name("__import__") | ast.Attribute(_, "import_module"), [ast.Constant(str(name)), *_]):
            yield name


def _speaks(name: str) -> str:
    """The module that speaks to others among this one and those around it; empty where none does."""
    parts = name.split(".")
    around = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return next((each for each in around if each in _MODULES), "")
