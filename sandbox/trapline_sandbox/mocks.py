"""Functions replaced for one batch of a test case: what a lookup would answer stands in the case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from importlib import import_module
from types import ModuleType
from typing import Any

_NOTHING = object()


class MockError(Exception):
    """A name that stands for nothing that could be replaced."""


@contextmanager
def mocked(script: ModuleType, answers: Mapping[str, Any]) -> Iterator[None]:
    """While the body runs, every call of these names answers what is given. A name is as the script says it.

    Raises MockError, with nothing replaced.
    """
    with ExitStack() as undo:
        for name, answer in answers.items():
            holder, last = _holder(script, name)
            original = getattr(holder, last, _NOTHING)
            if original is _NOTHING:
                raise MockError(_missing(name, last, holder, script))
            if not callable(original):
                raise MockError(f"`{name}` is no function, but a {type(original).__name__}")
            fake = _answering(answer)
            _replace(holder, last, fake, name, undo)
            for other in [key for key, value in vars(script).items() if value is original]:  # `from x import name`
                _replace(script, other, fake, name, undo)
        yield


def _answering(answer: Any) -> Callable[..., Any]:
    return lambda *_, **__: deepcopy(answer)  # the rule may change what it got


def _holder(script: ModuleType, name: str) -> tuple[Any, str]:
    """What has the last part of a name: found from the script's own globals on, else among the modules."""
    *path, last = name.split(".")
    holder: Any = script
    for position, part in enumerate(path):
        found = getattr(holder, part, _NOTHING)
        try:
            holder = import_module(".".join(path[: position + 1])) if found is _NOTHING else found
        except Exception:
            raise MockError(_missing(name, part, holder, script)) from None
    return holder, last


def _missing(name: str, part: str, holder: Any, script: ModuleType) -> str:
    where = "the script" if holder is script else f"`{getattr(holder, '__name__', type(holder).__name__)}`"
    return f"`{name}` is not there: {where} has no `{part}`"


def _replace(holder: Any, attribute: str, fake: Callable[..., Any], name: str, undo: ExitStack) -> None:
    own = getattr(holder, "__dict__", {}).get(attribute, _NOTHING)  # as it is kept, a static method included
    try:
        setattr(holder, attribute, fake)
    except Exception as error:
        raise MockError(f"`{name}` cannot be replaced: {error}") from None
    if own is _NOTHING:
        undo.callback(delattr, holder, attribute)
    else:
        undo.callback(setattr, holder, attribute, own)
