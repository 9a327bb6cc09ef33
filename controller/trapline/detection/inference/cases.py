"""A `match` statement, written as the `if` that it is for plain patterns."""

from __future__ import annotations

import ast

SUBJECT = "the subject of match"
"""The name of what is matched: none that a rule could use."""


def as_ifs(statement: ast.Match) -> ast.If | None:
    """None where a pattern takes something apart, or binds a name."""
    whole: list[ast.stmt] = []
    for case in reversed(statement.cases):
        test = _test(case.pattern)
        if test is None:
            return None
        if case.guard:
            test = ast.BoolOp(ast.And(), [test, case.guard])
        made = ast.If(ast.copy_location(test, case.pattern), case.body, whole)
        whole = [ast.fix_missing_locations(ast.copy_location(made, case.pattern))]
    return whole[0] if whole and isinstance(whole[0], ast.If) else None


def _test(pattern: ast.pattern) -> ast.expr | None:
    subject = ast.Name(SUBJECT, ast.Load())
    match pattern:
        case ast.MatchValue(value):
            return ast.Compare(subject, [ast.Eq()], [value])
        case ast.MatchSingleton(value):
            return ast.Compare(subject, [ast.Is()], [ast.Constant(value)])
        case ast.MatchAs(None, None):
            return ast.Constant(True)
        case ast.MatchOr(patterns):
            tests = [_test(each) for each in patterns]
            return ast.BoolOp(ast.Or(), [each for each in tests if each]) if all(tests) else None
        case _:
            return None
