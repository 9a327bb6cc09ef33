"""The worker: takes over stdin and stdout, loads one rule, and answers batch after batch until the host hangs up."""

from __future__ import annotations

import faulthandler
import gc
import io
import os
import resource
import sys
from typing import TYPE_CHECKING, Any

from trapline_sandbox.columns import Fields
from trapline_sandbox.frames import Frame, FrameError, Pipe
from trapline_sandbox.rule import OUT_OF_MEMORY, Rule, RuleError, TooManyMatches, Verdicts
from trapline_sandbox.watch import Watch

if TYPE_CHECKING:
    from trapline_sandbox.coverage import Coverage


class Log(io.TextIOBase):
    """Where the rule's prints go: in memory, up to a limit, handed over with each reply."""

    def __init__(self) -> None:
        self.limit = 64 * 1024
        self._parts: list[str] = []
        self._size = self._dropped = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        kept = text[: self.limit - self._size]
        if kept:
            self._parts.append(kept)
            self._size += len(kept)
        self._dropped += len(text) - len(kept)
        return len(text)

    def take(self) -> str:
        """What was written since the last call."""
        text = "".join(self._parts) + (f"\n... and {self._dropped} characters more\n" if self._dropped else "")
        self._parts, self._size, self._dropped = [], 0, 0
        return text.encode("utf-8", "replace").decode()


def main(root: str) -> int:
    """Serves the build in `root` and returns the exit status; 137 says that memory ran out."""
    pipe, log = _private_pipe(), _redirected()
    os.environ.clear()
    try:
        _work(root, pipe, log)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
        return 1
    return 0


def _work(root: str, pipe: Pipe, log: Log) -> None:
    start = pipe.read()
    if start is None:
        return
    _limit(start.header["limits"], log)
    limits = start.header["limits"]
    watch = Watch(limits["record_seconds"], limits["batch_seconds"])
    coverage = _coverage(root) if start.header["rule"]["coverage"] else None
    rule = _load(root, start.header["rule"], watch, pipe, log)
    if rule is not None:
        gc.freeze()  # the runtime and the rule live as long as the worker: no collection need look at them
        _serve(pipe, rule, log, limits, coverage)


def _private_pipe() -> Pipe:
    """Moves the protocol away from where a stray print or a child process could reach it."""
    pipe = Pipe(os.dup(0), os.dup(1))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return pipe


def _redirected() -> Log:
    """Sends prints to the log. File descriptor 2 stays: the interpreter's own last words go there."""
    faulthandler.enable(file=2)
    log = Log()
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = log  # type: ignore[assignment,misc]
    return log


def _limit(limits: dict[str, Any], log: Log) -> None:
    log.limit = limits["log_bytes"]
    for name, value in limits["rlimits"].items():
        try:
            resource.setrlimit(getattr(resource, name), (value, value))
        except (ValueError, OSError):
            continue  # a stricter limit holds already, or this system does not know the limit
    if limits["user"] is not None:  # the last thing that takes a privilege, and the end of all of them
        os.setgroups([])
        os.setgid(limits["user"])
        os.setuid(limits["user"])


def _coverage(root: str) -> Coverage:
    from trapline_sandbox.coverage import Coverage

    return Coverage(f"{root}/detection")


def _load(root: str, rule: dict[str, str], watch: Watch, pipe: Pipe, log: Log) -> Rule | None:
    # Behind the standard library, so that nothing in them can stand in for a part of it or of this runtime.
    sys.path += [f"{root}/requirements", f"{root}/detection"]
    try:
        loaded = Rule(f"{root}/detection", rule["script"], rule["mode"], watch=watch)
    except RuleError as error:
        pipe.write({"type": "error", "outcome": "import", **error.reply, "log": log.take()})
        return None
    pipe.write({"type": "ready", "python": sys.version.partition(" ")[0], "functions": sorted(loaded.functions)})
    return loaded


def _serve(pipe: Pipe, rule: Rule, log: Log, limits: dict[str, Any], coverage: Coverage | None) -> None:
    while (frame := pipe.read()) is not None:
        try:
            reply = _answer(frame, rule, limits)
        except TooManyMatches as error:
            _refuse(pipe, "matches", str(error), log)
            return
        if coverage:
            reply["coverage"] = coverage.told()
        reply["log"] = log.take()
        try:
            pipe.write(reply, limit=limits["reply_bytes"])
        except FrameError as error:
            _refuse(pipe, "output", str(error), log)
            return
        del frame, reply
        gc.collect()  # columns refer to each other in circles: without this, batches would pile up


def _answer(frame: Frame, rule: Rule, limits: dict[str, Any]) -> dict[str, Any]:
    header, fields = frame.header, Fields(frame.header["batch"], frame.buffers)
    said: dict[str, Any]
    if header["type"] == "probe":
        said = {"type": "probed", **rule.probe(fields)}
    elif header["sieve"]:
        said = {"type": "sifted", **rule.sift(fields, max_failures=limits["failures"])._asdict()}
    else:
        verdicts = _verdicts(rule, fields, header, limits)
        said = {
            "type": "result",
            "matches": verdicts.matches,
            "failures": verdicts.failures,
            "complete": verdicts.complete,
        }
    return {**said, "seq": header["seq"], "memory": _memory()}


def _verdicts(rule: Rule, fields: Fields, header: dict[str, Any], limits: dict[str, Any]) -> Verdicts:
    most = {"max_matches": limits["matches"], "max_failures": limits["failures"]}
    if not header["mocks"]:
        return rule.run(fields, **most)
    from trapline_sandbox.mocks import MockError, mocked

    try:
        with mocked(rule.module, header["mocks"]):
            return rule.run(fields, **most)
    except MockError as error:
        return Verdicts.failed(str(error))


def _refuse(pipe: Pipe, outcome: str, error: str, log: Log) -> None:
    pipe.write({"type": "error", "outcome": outcome, "error": error, "file": "", "line": 0, "log": log.take()})


def _memory() -> int:
    """The memory that this process uses now, in bytes; on systems that do not tell, the most that it ever used."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123  a worker does without pathlib
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS, where it is in bytes
