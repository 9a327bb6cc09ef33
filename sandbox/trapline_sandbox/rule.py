"""A detection's script, loaded from its folder and called over batches."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from json import dumps
from operator import length_hint
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from trapline_sandbox.columns import Fields, NotSent
from trapline_sandbox.record import Record, clean, each_record, jsonable, records, values_in
from trapline_sandbox.watch import RecordTimeout, Watch

TITLE_LIMIT = 1_000
PROSE_LIMIT = 20_000
NAME_LIMIT = 200
ERROR_LIMIT = 1_000
CONTEXT_LIMIT = 64 * 1024
OUT_OF_MEMORY = 137  # what an out-of-memory kill looks like everywhere: 128 + SIGKILL


class RuleError(Exception):
    """The script cannot be used; the reply to the host says why, and where."""

    def __init__(self, error: str, file: str = "", line: int = 0) -> None:
        super().__init__(error)
        self.reply = {"error": error, "file": file, "line": line}


class TooManyMatches(BaseException):
    """The rule matches more often than it may in one batch."""


class _TooManyFailures(BaseException):
    """The rule fails so often that it is pointless to go on."""


class Unsuitable(Exception):
    """A function of the script answered something that is no answer."""


class Verdicts:
    """What a rule said about one batch, as plain JSON values; all of it, if `complete`."""

    def __init__(self, max_matches: int, max_failures: int) -> None:
        self._max_matches, self._max_failures = max_matches, max_failures
        self.matches: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.complete = True

    @classmethod
    def failed(cls, error: str) -> Verdicts:
        """That nothing could be asked of the rule."""
        verdicts = cls(0, 1)
        place = {"function": "", "file": "", "line": 0}
        verdicts.fail({"row": None, **place, "error": clean(error, ERROR_LIMIT), "outcome": "raised"})
        return verdicts

    def match(self, match: dict[str, Any]) -> None:
        if len(self.matches) == self._max_matches:
            raise TooManyMatches(f"it matches more than {self._max_matches} times in one batch")
        self.matches.append(match)

    def fail(self, failure: dict[str, Any]) -> None:
        if len(self.failures) == self._max_failures:
            raise _TooManyFailures
        self.failures.append(failure)


class Sifted(NamedTuple):
    """The rows of a batch on which `detect` matched or failed; none where it touched what the batch does not hold."""

    matches: list[int]
    failures: list[int]
    complete: bool
    missed: bool


class Rule:
    """A loaded script. Whatever it raises becomes a failure; only running out of memory ends the worker."""

    def __init__(self, folder: str | os.PathLike[str], script: str, mode: str, *, watch: Watch) -> None:
        self._folder = f"{os.fspath(folder)}{os.sep}"
        self._watch = watch
        self._script, self._mode = f"{self._folder}{script}", mode
        self.module = self._load(script)
        names = ("detect", *_ANSWERS)
        self.functions = {name: call for name in names if callable(call := getattr(self.module, name, None))}
        if "detect" not in self.functions:
            raise RuleError(f"{script} defines no function detect", script)
        self._detect = self.functions["detect"]
        self._run = {"record": self._run_records, "batch": self._run_batch}[mode]

    def run(self, fields: Fields, *, max_matches: int, max_failures: int) -> Verdicts:
        """Runs `detect` over a batch, and the optional functions over its matches, until it has failed too often.

        Raises TooManyMatches.
        """
        verdicts = Verdicts(max_matches, max_failures)
        try:
            self._run(fields, verdicts)
        except _TooManyFailures:
            verdicts.complete = False
        return verdicts

    def sift(self, fields: Fields, *, max_failures: int) -> Sifted:
        """Runs `detect` alone over a batch that may be partial, one record at a time, until it touches what is not
        there, or has failed too often.
        """
        detect = self._detect
        matches: list[int] = []
        failures: list[int] = []
        complete, missed = True, False
        rows = iter(range(fields.length))
        with self._watch.over(lambda: -length_hint(rows)):
            for record, row in zip(each_record(fields), rows, strict=False):  # fewer records, once one is missed
                try:
                    if detect(record):
                        matches.append(row)
                except BaseException as error:
                    with self._watch.telling():
                        self._describe(error)  # which ends the worker where memory has run out
                    missed = isinstance(error, NotSent)
                    complete = len(failures) < max_failures
                    if missed or not complete:
                        break
                    failures.append(row)
        if missed or fields.missed:  # the rule may have swallowed the exception
            return Sifted([], [], complete=True, missed=True)
        return Sifted(matches, failures, complete=complete, missed=False)

    def probe(self, fields: Fields) -> dict[str, Any]:
        """Runs `detect` over the first record of a batch alone, and tells what its expressions came to on the way."""
        from trapline_sandbox.probe import Probe  # for those who write rules: production does without

        probe = Probe(self._script, self.module)
        failure = None
        with self._watch.over(lambda: 0):
            try:
                probe.run(records(fields, range(1))[0], several=self._mode == "batch")
            except BaseException as error:
                text, file, line = self._describe(error)
                place = {"function": "detect", "file": file, "line": line}
                failure = {"row": 0, **place, "error": text, "outcome": _outcome(error)}
            return {**probe.told(), "failure": failure}

    def _load(self, script: str) -> ModuleType:
        name = script.removesuffix(".py")
        spec = importlib.util.spec_from_file_location(name, f"{self._folder}{script}")
        if spec is None or spec.loader is None:
            raise RuleError(f"{script} is no Python file", script)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs, as import does it: dataclasses look themselves up there
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            raise RuleError(*self._describe(error)) from None
        return module

    # One record at a time

    def _run_records(self, fields: Fields, verdicts: Verdicts) -> None:
        detect = self._detect
        rows = iter(range(fields.length))
        with self._watch.over(lambda: -length_hint(rows)):  # what is left of the rows tells where the rule is
            for row, record in zip(rows, each_record(fields), strict=True):
                try:
                    verdict = detect(record)
                    if not verdict:
                        continue
                    _check_verdict(verdict)
                except BaseException as error:
                    self._fail(verdicts, row, "detect", error)
                    continue
                self._match(verdicts, row, record, {}, {})

    # All records of a batch at once

    def _run_batch(self, fields: Fields, verdicts: Verdicts) -> None:
        batch = records(fields, range(fields.length))
        with self._watch.over(None):
            try:
                found = self._detect(list(batch))
                if found is None:
                    return
                _check_iterable(found)
                for yielded in found:
                    self._take(fields, yielded, verdicts)
            except (TooManyMatches, _TooManyFailures):
                raise
            except BaseException as error:
                self._fail(verdicts, None, "detect", error)

    def _take(self, fields: Fields, yielded: Any, verdicts: Verdicts) -> None:
        """One yielded value: a record of the batch, or a dictionary that may name one."""
        try:
            said = {"record": yielded} if isinstance(yielded, Record) else _check_dictionary(yielded)
            row = _row_of(said.get("record"), fields)
            subject = yielded if row is None else said["record"]
            given = {name: said[name] for name in _ANSWERS if name in said}
            extra = {key: value for key, value in said.items() if key not in given and (key != "record" or row is None)}
        except BaseException as error:
            self._fail(verdicts, None, "detect", error)
        else:
            self._match(verdicts, row, subject, given, extra)

    # What a match says about itself

    def _match(
        self, verdicts: Verdicts, row: int | None, subject: Any, given: Mapping[str, Any], extra: dict[str, Any]
    ) -> None:
        """Reports a match: each field as yielded, else as its function says, else left to the configuration."""
        match: dict[str, Any] = {"row": row}
        for name, check in _ANSWERS.items():
            try:
                answer = given[name] if name in given else self._ask(name, subject)
                match[name] = None if answer is None else check(answer)
            except BaseException as error:
                self._fail(verdicts, row, name, error)
        context = match.pop("alert_context", None) or {}
        try:
            match["context"] = _bounded({**_written(extra), **context})
        except BaseException as error:
            self._fail(verdicts, row, "detect", error)
        with self._watch.telling():
            verdicts.match(match)

    def _ask(self, name: str, subject: Any) -> Any:
        function = self.functions.get(name)
        return None if function is None else function(subject)

    # What went wrong

    def _fail(self, verdicts: Verdicts, row: int | None, function: str, error: BaseException) -> None:
        with self._watch.telling():
            text, file, line = self._describe(error)
            place = {"function": function, "file": file, "line": line}
            verdicts.fail({"row": row, **place, "error": text, "outcome": _outcome(error)})

    def _describe(self, error: BaseException) -> tuple[str, str, int]:
        """The error as text, and the innermost place in the detection's own files."""
        file, line = self._place(error.__traceback__)
        if isinstance(error, MemoryError):  # nothing that would still run could be trusted to
            with suppress(MemoryError):
                os.write(2, f'File "{file}", line {line}\n'.encode())  # as the interpreter's last words put it
            os._exit(OUT_OF_MEMORY)
        if isinstance(error, SyntaxError) and (error.filename or "").startswith(self._folder):
            file, line = error.filename or "", error.lineno or 0
        return _error_text(error), file.removeprefix(self._folder), line

    def _place(self, traceback: TracebackType | None) -> tuple[str, int]:
        place = ("", 0)
        while traceback is not None:
            name = traceback.tb_frame.f_code.co_filename
            if name.startswith(self._folder):
                place = (name, traceback.tb_lineno)
            traceback = traceback.tb_next
        return place


def _outcome(error: BaseException) -> str:
    """The limit that an exception comes from, or `raised`."""
    if isinstance(error, RecordTimeout):
        return "timeout"
    # What `threading` says where no more may be started; it has no class of its own.
    full = isinstance(error, RuntimeError) and error.args == ("can't start new thread",)
    return "pids" if full else "raised"


def _error_text(error: BaseException) -> str:
    try:
        if isinstance(error, Unsuitable | RecordTimeout):
            return clean(str(error), ERROR_LIMIT)
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        return clean(f"{type(error).__name__}: {said}".removesuffix(": "), ERROR_LIMIT)
    except BaseException:
        return f"{type(error).__name__} (its text cannot be had)"


def _check_verdict(verdict: Any) -> None:
    if callable(verdict) or hasattr(verdict, "__next__") or hasattr(verdict, "__await__"):
        raise Unsuitable(
            f"detect returned a {type(verdict).__name__}, which is always true; it must return True, False or None"
        )


def _check_iterable(found: Any) -> None:
    if isinstance(found, Mapping | str | bytes) or not isinstance(found, Iterable):
        raise Unsuitable(f"detect must yield its matches or return a list of them, not a {type(found).__name__}")


def _check_dictionary(yielded: Any) -> dict[Any, Any]:
    if not isinstance(yielded, Mapping):
        raise Unsuitable(f"detect must yield a dictionary or a record for each match, not a {type(yielded).__name__}")
    return dict(yielded)


def _row_of(record: Any, fields: Fields) -> int | None:
    """The row of a record of this batch; None for anything else, a record inside a record included."""
    return record._row if isinstance(record, Record) and record._fields is fields else None


def _text(limit: int) -> Callable[[Any], str]:
    return lambda answer: clean(str(answer), limit)


def _names(answer: Any) -> list[str]:
    if not isinstance(answer, list | tuple) or not all(isinstance(name, str) for name in answer):
        raise Unsuitable(f"destinations must be a list of names, not {clean(repr(answer), NAME_LIMIT)}")
    return [clean(name, NAME_LIMIT) for name in answer]


def _context(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, Mapping):
        raise Unsuitable(f"alert_context must be a dictionary, not a {type(answer).__name__}")
    return _written(answer)


def _written(context: Mapping[Any, Any]) -> dict[str, Any]:
    """As plain JSON, unless that would be immense: small things that hold each other again and again are."""
    if values_in(context, CONTEXT_LIMIT) > CONTEXT_LIMIT:
        return {"truncated": f"more than {CONTEXT_LIMIT} values of context"}
    written: dict[str, Any] = jsonable(context)
    return written


def _bounded(context: dict[str, Any]) -> dict[str, Any]:
    size = len(dumps(context)) if context else 0
    return context if size <= CONTEXT_LIMIT else {"truncated": f"{size} bytes of context, {CONTEXT_LIMIT} at most"}


_ANSWERS: dict[str, Callable[[Any], Any]] = {
    "title": _text(TITLE_LIMIT),
    "dedupe": _text(TITLE_LIMIT),
    "severity": _text(NAME_LIMIT),
    "destinations": _names,
    "description": _text(PROSE_LIMIT),
    "runbook": _text(PROSE_LIMIT),
    "alert_context": _context,
}
