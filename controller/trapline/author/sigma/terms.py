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
    """One test of one field: an expression with or without a comparison. `examples` make it true, all together;
    `absent` says that it is true of a record without the field; `made_up` that examples can be made at all.
    `fields` are those that it looks at."""

    left: str
    operator: str = ""
    right: str = ""
    examples: tuple[Example, ...] = ()
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
    if len(body) > WIDTH:
        lines = _lines(term, 8)
        body = "\n".join(_two(term) or (["    return (", *lines, "    )"] if lines else [body]))
    return f"def {name}(record):\n{body}\n"


def inline(term: Term) -> str:
    """A term in one line."""
    match term:
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


def _lines(term: Term, indent: int) -> list[str]:
    """A term in several lines; empty for what cannot be split."""
    space = " " * indent
    match term:
        case Every(terms) | Some(terms):
            word = "and" if isinstance(term, Every) else "or"
            other = Some if isinstance(term, Every) else Every
            lines: list[str] = []
            for index, inner in enumerate(terms):
                lines += _operand(f"{space}{word} " if index else space, inner, isinstance(inner, other), indent)
            return lines
        case Not(inner) if isinstance(inner, Every | Some):
            return [f"{space}not (", *_inside(inner, indent + 4), f"{space})"]
        case Test() | Call() | Not():
            return []


def _inside(term: Term, indent: int) -> list[str]:
    """What stands in parentheses that have lines of their own."""
    line = f"{' ' * indent}{inline(term)}"
    return [line] if len(line) <= WIDTH else _lines(term, indent)


def _two(term: Term) -> list[str]:
    """The lines of a function that returns two operands, the last of them a group: its parentheses are enough.
    Empty for anything else."""
    if not isinstance(term, Every | Some) or len(term.terms) != 2:
        return []
    word, group = ("and", Some) if isinstance(term, Every) else ("or", Every)
    first, last = term.terms
    if not isinstance(last, group):
        return []
    start = f"    return {_held(first) if isinstance(first, group) else inline(first)} {word} ("
    if len(start) <= WIDTH:
        return [start, *_inside(last, 8), "    )"]
    if isinstance(first, group):
        return ["    return (", *_inside(first, 8), f"    ) {word} (", *_inside(last, 8), "    )"]
    return []


def _operand(start: str, term: Term, is_held: bool, indent: int) -> list[str]:
    line = start + (f"({inline(term)})" if is_held else inline(term))
    inner = term.term if isinstance(term, Not) else term
    split = _inside(inner, indent + 4) if isinstance(inner, Every | Some) else []
    if len(line) <= WIDTH or not split:
        return [line]
    opening = f"{start}not (" if isinstance(term, Not) else f"{start}("
    return [opening, *split, f"{' ' * indent})"]


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
