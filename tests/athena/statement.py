"""A query as it was sent: a SELECT, alone or in an UNLOAD. sqlglot reads the first, the second is read here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from tests.athena.errors import MalformedQuery, QueryFailed

_UNLOAD = re.compile(r"\s*UNLOAD(?=\W)", re.IGNORECASE)
COMPRESSIONS = {"none", "snappy", "gzip", "zstd", "lz4"}


@dataclass(frozen=True, slots=True)
class Unload:
    """Where an UNLOAD writes, and how."""

    location: str
    compression: str = "gzip"


@dataclass(frozen=True, slots=True)
class Statement:
    """One query. The tokens keep their places in the text that was sent, for errors to name."""

    text: str
    select: exp.Query
    unload: Unload | None = None
    tokens: tuple[Token, ...] = field(repr=False, default=())


def read(text: str) -> Statement:
    """Raises MalformedQuery where Athena would not take it, and QueryFailed for what only the double does not take."""
    unload = _UNLOAD.match(text)
    # Blanks in place of the words around it, so that what is said of the query has the places of the whole.
    rest = text if unload is None else _blanks(text[: unload.end()]) + text[unload.end() :]
    try:
        tokens = tuple(sqlglot.tokenize(rest, dialect="athena"))
    except sqlglot.errors.SqlglotError as error:
        raise MalformedQuery(_said(error)) from error
    if not tokens:
        raise MalformedQuery("line 1:1: mismatched input '<EOF>'")
    if unload is None:
        return Statement(text, _select(text), tokens=tokens)
    closing = _closing(tokens)
    begin, end = tokens[0].end + 1, tokens[closing].start
    return Statement(text, _select(_blanks(text[:begin]) + text[begin:end]), _target(tokens[closing + 1 :]), tokens)


def _blanks(text: str) -> str:
    return "".join(letter if letter == "\n" else " " for letter in text)


def place_of(statement: Statement, name: str) -> str:
    """`line 1:8: `, where a name first stands in a query."""
    for token in statement.tokens:
        if token.text.lower() == name.lower():
            return f"line {token.line}:{token.col - (token.end - token.start)}: "
    return "line 1:1: "


def _select(text: str) -> exp.Query:
    try:
        (parsed,) = sqlglot.parse(text, dialect="athena")
    except sqlglot.errors.SqlglotError as error:
        raise MalformedQuery(_said(error)) from error
    except ValueError as error:
        raise MalformedQuery("Only one sql statement is allowed") from error
    if isinstance(parsed, exp.Query):
        return parsed
    raise QueryFailed(f"NOT_SUPPORTED: the double runs SELECT and UNLOAD alone, not {type(parsed).__name__}")


def _closing(tokens: tuple[Token, ...]) -> int:
    """The place of the parenthesis that ends the UNLOAD's query."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0:
            if place == 0:
                raise _mismatched(token)
            return place
    raise MalformedQuery("line 1:1: mismatched input '<EOF>'. Expecting: ')'")


def _target(tokens: tuple[Token, ...]) -> Unload:
    words = [token.text for token in tokens if token.token_type is not TokenType.SEMICOLON]
    if len(words) < 2 or words[0].upper() != "TO" or tokens[1].token_type is not TokenType.STRING:
        raise _mismatched(tokens[0]) if tokens else MalformedQuery("mismatched input '<EOF>'. Expecting: 'TO'")
    options = _options(words[2:])
    if "format" not in options:
        raise QueryFailed("INVALID_TABLE_PROPERTY: format is a required property of UNLOAD", kind=1006)
    if options["format"].upper() != "PARQUET":
        raise QueryFailed(f"NOT_SUPPORTED: the double writes Parquet alone, not {options['format']}")
    compression = options.get("compression", "gzip").lower()
    if compression not in COMPRESSIONS:
        raise QueryFailed(f"INVALID_TABLE_PROPERTY: Unsupported compression for Parquet: {compression}", kind=1006)
    return Unload(words[1], compression)


def _options(words: list[str]) -> dict[str, str]:
    """`WITH (name = 'value', ...)`; a list or a number as a value is kept as one word."""
    if not words:
        return {}
    if words[0].upper() != "WITH" or words[1:2] != ["("] or words[-1] != ")":
        raise MalformedQuery(f"mismatched input '{words[0]}'. Expecting: 'WITH'")
    pairs = words[2:-1]
    equals = [place for place, word in enumerate(pairs) if word == "="]
    return {pairs[place - 1].lower(): pairs[place + 1] for place in equals if 0 < place < len(pairs) - 1}


def _mismatched(token: Token) -> MalformedQuery:
    column = token.col - (token.end - token.start)
    return MalformedQuery(f"line {token.line}:{column}: mismatched input '{token.text}'")


def _said(error: sqlglot.errors.SqlglotError) -> str:
    found = getattr(error, "errors", None)
    if not found:
        return str(error).split("\n", 1)[0]
    place = f"line {found[0]['line']}:{max(1, found[0]['col'] - len(found[0]['highlight']) + 1)}"
    return f"{place}: mismatched input '{found[0]['highlight']}'"
