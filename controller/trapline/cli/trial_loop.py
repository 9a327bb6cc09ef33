"""The session of `trapline try`: a run, then a save or a typed line, and again. It needs no more than lines of text."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator

from trapline.author.saves import saves
from trapline.author.trial.session import Session, Unloaded
from trapline.cli.output import errors, print_problems, say
from trapline.cli.trial_text import print_alert, print_log, print_probe, print_record, print_trial
from trapline.clock import system_clock
from trapline.config.redact import hide_known_secrets
from trapline.errors import TraplineError
from trapline.workers.interface import WorkerError

_HELP = """\
  Enter     run again
  N         show record N: its number, or its id
  p N       the value of every part of the condition on record N
  a         the first alert, as each of its destinations gets it
  s         fetch the sample anew, and run
  q         quit"""
_SAVED = "\0"


class Loop:
    """Reads what is typed and what is saved, one after the other. The end of input, and ^C, end it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        session.tell(_tell)

    def run(self) -> None:
        """Until somebody quits."""
        try:
            saved = self._watched()
            self._try()
            say("waiting for a save; ? says what else there is", style="dim")
            for line in _events(saved):
                if line == "q":
                    return
                self._answer(line)
        except KeyboardInterrupt:
            say("")

    def _watched(self) -> int:
        """Where a save is told of, as bytes to be read; when this returns, none is missed any more."""
        saved, notice = os.pipe()
        begun = threading.Event()
        threading.Thread(target=self._watch, args=[notice, begun], daemon=True).start()
        begun.wait()
        return saved

    def _watch(self, notice: int, begun: threading.Event) -> None:
        try:
            for changed in saves(self._session.place.root):
                begun.set()
                if any(self._session.place.concerns(path) for path in changed):
                    os.write(notice, b".")
        except TraplineError as error:
            _print_error(error)
        finally:
            begun.set()

    def _answer(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if line in (_SAVED, ""):
            self._try()
        elif word == "?":
            say(_HELP)
        elif word == "s":
            self._session.sample_again()
            self._try()
        elif word == "a":
            self._guarded(lambda: print_alert(self._session, system_clock()))
        elif word == "p" and rest:
            self._guarded(lambda: self._probe(rest.strip()))
        else:
            self._guarded(lambda: print_record(self._session, self._session.number(line)))

    def _try(self) -> None:
        say(f"\n-- {system_clock():%H:%M:%S} UTC ".ljust(79, "-"), style="dim")
        self._guarded(lambda: print_trial(self._session.run(), system_clock()))

    def _probe(self, asked: str) -> None:
        number = self._session.number(asked)
        reply = self._session.probe(number)
        assert self._session.trial is not None  # it has a record with that number
        print_probe(self._session.trial, number, reply)

    def _guarded(self, step: Callable[[], None]) -> None:
        """What cannot be done is said, and the next save may mend it."""
        try:
            step()
        except Unloaded as error:
            print_problems(error.problems)
        except TraplineError as error:
            _print_error(error)
            print_log(error.log if isinstance(error, WorkerError) else "")


def _events(saved: int) -> Iterator[str]:
    """Lines that are typed, and _SAVED after a save, until the end of what is typed."""
    typed = _typed()
    waiting = b""
    while typed is not None:
        ready, _, _ = select.select([saved, typed], [], [])
        if saved in ready:
            os.read(saved, 4096)
            yield _SAVED
        if typed in ready:
            read = _read(typed)
            *lines, waiting = (waiting + read).split(b"\n")
            if not read and waiting:  # a last line without an end
                lines.append(waiting)
            yield from (line.decode(errors="replace").strip() for line in lines)
            if not read:
                return


def _read(typed: int) -> bytes:
    """What is typed; nothing at the end of it, or once its terminal is gone."""
    try:
        return os.read(typed, 4096)
    except OSError:
        return b""


def _tell(text: str) -> None:
    if not text.startswith("building"):  # which is done at each save, and takes no time
        say(f"{text} ...", style="dim")


def _typed() -> int | None:
    """Where lines are typed; None where there is nobody to type."""
    try:
        return sys.stdin.fileno()
    except (io.UnsupportedOperation, AttributeError):
        return None


def _print_error(error: TraplineError) -> None:
    errors.print("error: ", style="bold red", end="")
    say(hide_known_secrets(error.message), to=errors)
    if error.remedy:
        say(f"  {error.remedy}", to=errors)
