"""A condition as a tree, and how it is written in Python: in one line, or with each operand in its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trapline.author.sigma.fields import Field

WIDTH = 120
_OPPOSITE = {"==": "!=", "!=": "==", "in": "not in", "not in": "in", "is": "is not", "is not": "is"}


@dataclass(frozen=True, slots=True)
class Example:
    """A value with which a test is true: what it begins with, holds and ends with; `whole` where it is all of it.
    None for `whole` of a test that wants a value, whatever it is."""

    field: Field
    start: str = ""
    inside: str = ""
    end: str = ""
    whole: str | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """One test of one field: an expression with or without a comparison; with `loops`, of any that these give.

    `examples` make it true, all together; `absent` says that it is true of a record without the field; `made_up` that
    examples can be made at all. `fields` are those that it looks at.
    """

    left: str
    operator: str = ""
    right: str = ""
    examples: tuple[Example, ...] = ()
    loops: tuple[str, ...] = ()
    absent: Field | None = None
    made_up: bool = True
    fields: tuple[Field, ...] = ()

    @property
    def is_dear(self) -> bool:
        """Whether it takes apart more than a column."""
        return any(field.path for field in self.fields)


@dataclass(frozen=True, slots=True)
class Call:
    """A selection, told by a function of its own."""

    function: str
    inner: Term


@dataclass(frozen=True, slots=True)
class Every:
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Some:
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Term


Term = Test | Call | Every | Some | Not


def every(terms: Sequence[Term]) -> Term:
    """All of them, what is cheap to look at first; just the one where it is one."""
    if len(terms) == 1:
        return terms[0]
    flat = [inner for term in terms for inner in (term.terms if isinstance(term, Every) else (term,))]
    return Every(tuple(sorted(flat, key=is_dear)))


def some(terms: Sequence[Term]) -> Term:
    """Any of them; just the one where it is one."""
    if len(terms) == 1:
        return terms[0]
    return Some(tuple(inner for term in terms for inner in (term.terms if isinstance(term, Some) else (term,))))


def negated(term: Term) -> Term:
    """Its opposite."""
    return term.term if isinstance(term, Not) else Not(term)


def is_dear(term: Term) -> bool:
    """Whether it takes apart more than columns. Selections stay where the condition has them."""
    match term:
        case Test():
            return term.is_dear
        case Call():
            return False
        case Not(inner):
            return is_dear(inner)
        case Every(terms) | Some(terms):
            return any(map(is_dear, terms))


def function(name: str, term: Term) -> str:
    """The function of that name that says whether a term is true of a record."""
    body = f"    return {inline(term)}"
    lines = [body] if len(body) <= WIDTH else _two(term) or _hung("    return ", term, 4) or _wrapped(term) or [body]
    return "\n".join([f"def {name}(record):", *lines, ""])


def inline(term: Term) -> str:
    """A term in one line."""
    match term:
        case Test(left, _, _, _, loops) if loops:
            return f"any({' '.join([left, *loops])})"
        case Test(left, operator, right):
            return f"{left} {operator} {right}" if operator else left
        case Call(name):
            return f"{name}(record)"
        case Not(Test(left, operator, right)) if operator in _OPPOSITE:
            return f"{left} {_OPPOSITE[operator]} {right}"
        case Not(inner):
            return f"not {_held(inner)}"
        case Every(terms):
            return " and ".join(_held(inner) if isinstance(inner, Some) else inline(inner) for inner in terms)
        case Some(terms):
            return " or ".join(_held(inner) if isinstance(inner, Every) else inline(inner) for inner in terms)


def _held(term: Term) -> str:
    """A term in one line, in parentheses where `and`, `or` or `not` beside it would tear it apart."""
    is_whole = isinstance(term, Call) or (isinstance(term, Test) and not term.operator)
    return inline(term) if is_whole else f"({inline(term)})"


def _lines(term: Every | Some, indent: int) -> list[str]:
    """A term with each operand in lines of its own."""
    word = "and" if isinstance(term, Every) else "or"
    lines: list[str] = []
    for index, inner in enumerate(term.terms):
        start = f"{' ' * indent}{word} " if index else " " * indent
        held = type(term) is not type(inner) and isinstance(inner, Every | Some)
        line = start + (f"({inline(inner)})" if held else inline(inner))
        lines += [line] if len(line) <= WIDTH else _hung(start, inner, indent) or [line]
    return lines


def _hung(start: str, term: Term, indent: int) -> list[str]:
    """A term whose parentheses open behind `start`, and close in a line of their own; empty for one without any."""
    inner = term.term if isinstance(term, Not) else term
    word = "not " if isinstance(term, Not) else ""
    match inner:
        case Every() | Some():
            return [f"{start}{word}(", *_inside(inner, indent + 4), f"{' ' * indent})"]
        case Test(left, _, _, _, loops) if loops:
            space = " " * (indent + 4)
            line = f"{space}{' '.join([left, *loops])}"
            split = [line] if len(line) <= WIDTH else [f"{space}{part}" for part in (left, *loops)]
            return [f"{start}{word}any(", *split, f"{' ' * indent})"]
        case _:
            return []


def _inside(term: Every | Some, indent: int) -> list[str]:
    """What stands in parentheses that have lines of their own."""
    line = f"{' ' * indent}{inline(term)}"
    return [line] if len(line) <= WIDTH else _lines(term, indent)


def _wrapped(term: Term) -> list[str]:
    """A comparison whose operator begins a line; empty for what has none."""
    if not isinstance(term, Test) or not term.operator:
        return []
    return ["    return (", f"        {term.left}", f"        {term.operator} {term.right}", "    )"]


def _two(term: Term) -> list[str]:
    """The lines of a function that returns two operands, the last of them in parentheses: these are enough. Empty for
    anything else."""
    if not isinstance(term, Every | Some) or len(term.terms) != 2:
        return []
    word = "and" if isinstance(term, Every) else "or"
    first, last = term.terms
    shown = f"({inline(first)})" if isinstance(first, Every | Some) else inline(first)
    lines = _hung(f"    return {shown} {word} ", last, 4)
    if lines and len(lines[0]) <= WIDTH:
        return lines
    if lines and isinstance(first, Every | Some):
        return ["    return (", *_inside(first, 8), *_hung(f"    ) {word} ", last, 4)]
    return []


def fields_of(term: Term) -> Iterator[Field]:
    """Every field that a term looks at."""
    match term:
        case Test():
            yield from term.fields
        case Call(_, inner) | Not(inner):
            yield from fields_of(inner)
        case Every(terms) | Some(terms):
            for inner in terms:
                yield from fields_of(inner)
