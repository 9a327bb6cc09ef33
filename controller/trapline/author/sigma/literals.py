"""Texts as Python writes them."""

from __future__ import annotations

from collections.abc import Sequence

from trapline.author.sigma.terms import WIDTH


def literal(text: str) -> str:
    """A text as Python has it, in double quotes; raw where that spares backslashes."""
    if "\\" in text and text.isprintable() and '"' not in text and not text.endswith("\\"):
        return f'r"{text}"'
    quote = "'" if text.count('"') > text.count("'") else '"'
    return f"{quote}{''.join(_escaped(letter, quote) for letter in text)}{quote}"


def _escaped(letter: str, quote: str) -> str:
    if letter in (quote, "\\"):
        return f"\\{letter}"
    return letter if letter.isprintable() else repr(letter)[1:-1]


def inline_tuple(words: Sequence[str]) -> str:
    return f"({', '.join(map(literal, words))})"


def is_short(words: Sequence[str]) -> bool:
    """Whether a tuple of them is read at a glance."""
    return len(words) <= 4 and len(inline_tuple(words)) <= WIDTH // 2
