"""trapline.yml, changed in its place: what is not changed stays as it is, to the byte."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trapline.author.registry.splice import Append, Change, NotSpliced, Remove, snippet, splice
from trapline.config.document import UnreadableConfig, read_document
from trapline.config.words import dotted
from trapline.errors import TraplineError
from trapline.settings import FILE_NAME, parse

_BOM = "\ufeff"


def edited(text: bytes, changes: Sequence[Change]) -> bytes:
    """A trapline.yml with changes made: it can be used, and says what it said but for them.

    Raises SettingsError where it cannot be used before or after, and TraplineError, with what to write by hand, where
    it is written in a way that a change cannot be put into.
    """
    parse(text)
    for change in changes:
        text = _changed(text, change)
    parse(text)
    return text


def save(file: Path, text: bytes, *, before: bytes) -> None:
    """Puts a text in the place of the one that was read, in one step. Raises TraplineError.

    What somebody has written meanwhile is left as it is.
    """
    try:
        if (file.read_bytes() if file.exists() else b"") != before:
            raise TraplineError(f"{file} was changed meanwhile, and is left as it is", remedy="run the command again")
        _replace(file, text)
    except OSError as error:
        message = f"{error.filename or file} cannot be written: {error.strerror}"
        raise TraplineError(message, remedy="see whether you may, and whether the disk has room") from None


def _changed(text: bytes, change: Change) -> bytes:
    """One change made and looked at again: whatever the text is like, nothing else is said by the result."""
    mark, decoded = _decoded(text)
    before = _said(text)
    try:
        after = (mark + splice(decoded, change)).encode()
        if _said(after) == _expected(before, change):
            return after
    except (NotSpliced, UnreadableConfig):
        pass
    line = read_document(FILE_NAME, text).place(change.keys)[0]
    place = f"{FILE_NAME}:{line}" if line else FILE_NAME
    message = f"{place}: `{dotted(change.keys)}` cannot be changed here without touching what is around it"
    raise TraplineError(message, remedy=f"change it by hand:\n{snippet(change)}")


def _decoded(text: bytes) -> tuple[str, str]:
    decoded = text.decode()
    mark = _BOM if decoded.startswith(_BOM) else ""
    return mark, decoded.removeprefix(mark)


def _said(text: bytes) -> Mapping[str, Any]:
    try:
        return read_document(FILE_NAME, text).data
    except UnreadableConfig as error:
        if error.problem.code == "empty":
            return {}
        raise


def _expected(before: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """What a text says once it says the change."""
    after: dict[str, Any] = _apart(before)
    if isinstance(change, Remove):
        _take_away(after, change)
        return after
    *way, last = change.keys
    node: Any = after
    for key in way:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
    node[last] = [*(node.get(last) or ()), change.value] if isinstance(change, Append) else change.value
    return after


def _apart(data: Any) -> Any:
    """A copy in which nothing is there twice: what an alias stands for is a value of its own."""
    if isinstance(data, dict):
        return {key: _apart(value) for key, value in data.items()}
    return [_apart(value) for value in data] if isinstance(data, list) else data


def _take_away(data: Any, change: Remove) -> None:
    for length in range(len(change.keys), 0, -1):
        node = data
        for key in change.keys[: length - 1]:
            node = node[key]
        del node[change.keys[length - 1]]
        if node or length - 1 <= len(change.within):
            return


def _replace(file: Path, content: bytes) -> None:
    """Puts content in the place of a file's in one step: whoever is stopped leaves one or the other."""
    mode = file.stat().st_mode & 0o7777 if file.exists() else 0o666 & ~_umask()
    number, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(number, "wb") as opened:
            opened.write(content)
            os.fchmod(number, mode)
            opened.flush()
            os.fsync(number)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The one of this process, which can only be asked for by setting one."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
