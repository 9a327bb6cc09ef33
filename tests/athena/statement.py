"""A query as it was sent: a SELECT, alone or in an UNLOAD. sqlglot reads the first, the second is read here."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from tests.athena.errors import MalformedQuery, failed

UNKNOWN = "line 1:1: "
_UNLOAD = re.compile(r"\s*UNLOAD(?=\W)", re.IGNORECASE)
COMPRESSIONS = {"none", "snappy", "gzip", "zstd"}


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


def place(token: Token) -> str:
    """`line 1:8: `, as Trino begins what it says of a word."""
    return f"line {token.line}:{token.col - (token.end - token.start)}: "


def place_of(statement: Statement, name: str) -> str:
    """The place where a name first stands in a query."""
    return next((place(token) for token in statement.tokens if token.text.lower() == name.lower()), UNKNOWN)


def place_of_field(statement: Statement, name: str) -> tuple[str, str]:
    """The place of the path that a field ends, and that path: `event.nope` for `nope`."""
    tokens = statement.tokens
    for number in range(len(tokens) - 1, 1, -1):
        first = number
        while first > 1 and tokens[first - 1].token_type is TokenType.DOT:
            first -= 2
        if first < number and tokens[number].text.lower() == name.lower():
            return place(tokens[first]), "".join(token.text for token in tokens[first : number + 1])
    return UNKNOWN, name


def place_after(statement: Statement, name: str, words: Collection[str]) -> str:
    """The place of the first of these words that follows a name."""
    texts = [token.text.lower() for token in statement.tokens]
    start = texts.index(name.lower()) if name.lower() in texts else 0
    return next((place(token) for token in statement.tokens[start:] if token.text.upper() in words), UNKNOWN)


def _select(text: str) -> exp.Query:
    try:
        (parsed,) = sqlglot.parse(text, dialect="athena")
    except sqlglot.errors.SqlglotError as error:
        raise MalformedQuery(_said(error)) from error
    except ValueError as error:
        raise MalformedQuery("Only one sql statement is allowed") from error
    if isinstance(parsed, exp.Query):
        return parsed
    raise failed("NOT_SUPPORTED", f"the double runs SELECT and UNLOAD alone, not {type(parsed).__name__}")


def _closing(tokens: tuple[Token, ...]) -> int:
    """The number of the parenthesis that ends the UNLOAD's query."""
    depth = 0
    for number, token in enumerate(tokens):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 0:
            if number == 0:
                raise _mismatched(token)
            return number
    raise MalformedQuery("line 1:1: mismatched input '<EOF>'. Expecting: ')'")


def _target(tokens: tuple[Token, ...]) -> Unload:
    words = [token.text for token in tokens if token.token_type is not TokenType.SEMICOLON]
    if len(words) < 2 or words[0].upper() != "TO" or tokens[1].token_type is not TokenType.STRING:
        raise _mismatched(tokens[0]) if tokens else MalformedQuery("mismatched input '<EOF>'. Expecting: 'TO'")
    options = _options(words[2:])
    if "format" not in options:
        raise failed("INVALID_TABLE_PROPERTY", "format is a required property of UNLOAD")
    if options["format"].upper() != "PARQUET":
        raise failed("NOT_SUPPORTED", f"the double writes Parquet alone, not {options['format']}")
    compression = options.get("compression", "gzip").lower()
    if compression not in COMPRESSIONS:
        raise failed("INVALID_TABLE_PROPERTY", f"Unsupported compression for Parquet: {compression}")
    return Unload(words[1], compression)


def _options(words: list[str]) -> dict[str, str]:
    """`WITH (name = 'value', ...)`; a list or a number as a value is kept as one word."""
    if not words:
        return {}
    if words[0].upper() != "WITH" or words[1:2] != ["("] or words[-1] != ")":
        raise MalformedQuery(f"mismatched input '{words[0]}'. Expecting: 'WITH'")
    pairs = words[2:-1]
    equals = [number for number, word in enumerate(pairs) if word == "="]
    return {pairs[number - 1].lower(): pairs[number + 1] for number in equals if 0 < number < len(pairs) - 1}


def _mismatched(token: Token) -> MalformedQuery:
    return MalformedQuery(f"{place(token)}mismatched input '{token.text}'")


def _said(error: sqlglot.errors.SqlglotError) -> str:
    found = getattr(error, "errors", None)
    if not found:
        return str(error).split("\n", 1)[0]
    where = f"line {found[0]['line']}:{max(1, found[0]['col'] - len(found[0]['highlight']) + 1)}"
    return f"{where}: mismatched input '{found[0]['highlight']}'"
