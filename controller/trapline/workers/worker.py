"""One running sandbox, whichever kind: loads the rule, runs batches, and turns every way to die into a WorkerError."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import monotonic
from typing import Any, NoReturn

import pyarrow as pa

from trapline.workers import replies, wire
from trapline.workers.channel import Channel, Death
from trapline.workers.interface import NO_MOCKS, BatchReply, Limits, ProbeReply, Rule, Sieve, WorkerError
from trapline_plugins.text import one_line
from trapline_sandbox.frames import PREFIX_BYTES, FrameError, header_length

# The worker ends itself at the limit, telling where the rule was; the host waits this much longer before it kills.
GRACE_SECONDS = 1.0
MOST_BATCHES = 1_000

_REMEDIES = {
    "output": "let it say less about each match",
    "matches": "narrow the rule, or raise the limit",
}
_WATCHDOG = re.compile(r"^Timeout \(", re.MULTILINE)
_PLACE = re.compile(r'File "[^"\n]*/detection/([^"\n]{1,1000})", line (\d{1,9})\b')  # the rule may write there, too


class SandboxWorker:
    """A worker at the other end of a channel. Not thread-safe; after a WorkerError it is dead."""

    def __init__(
        self, channel: Channel, rule: Rule, limits: Limits, *, rlimits: Mapping[str, int], user: int | None = None
    ) -> None:
        """`rlimits` are what the worker sets for itself before it loads the rule; then it becomes the user `user`."""
        self._channel, self._rule, self._limits = channel, rule, limits
        self._seq = 0
        self._alive = True
        self.memory_bytes = 0
        try:
            self._handshake(rlimits, user)
            self._threads = channel.threads()
        except WorkerError as error:
            error.starting = True
            self.close()
            raise
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return self._alive and self._channel.alive()

    def run(
        self, batch: pa.RecordBatch, *, sieve: Sieve | None = None, mocks: Mapping[str, Any] = NO_MOCKS
    ) -> BatchReply:
        """Runs the rule over one batch, as `Worker` says. Raises WorkerError, after which the worker is dead."""
        if not self._alive:
            raise WorkerError("crashed", f"the worker of {self._rule.detection} has ended already")
        self._seq += 1
        parts = wire.batch_frame(batch, self._seq, sieve=sieve, mocks=mocks)
        try:
            reply = self._exchange(parts)
            if isinstance(reply, replies.Probed) or isinstance(reply, replies.Sifted) != (sieve is not None):
                raise replies.protocol_error(f"a {reply.type}, where something else was asked for")
            self.memory_bytes = reply.memory
            asked = {"seq": self._seq, "rows": batch.num_rows, "limits": self._limits}
            if isinstance(reply, replies.Sifted):
                return replies.sifted(reply, **asked)
            if reply.coverage and not self._rule.coverage:
                raise replies.protocol_error("lines that nobody asked for")
            return replies.verdicts(reply, **asked, each_once=self._rule.mode == "record")
        except BaseException:
            self.close()
            raise

    def probe(self, batch: pa.RecordBatch) -> ProbeReply:
        """Runs `detect` over the one record of a batch and tells what its expressions come to. Raises WorkerError."""
        self._seq += 1
        try:
            reply = self._exchange(wire.probe_frame(batch, self._seq))
            if not isinstance(reply, replies.Probed):
                raise replies.protocol_error(f"a {reply.type}, where a record was probed")
            self.memory_bytes = reply.memory
            return replies.probed(reply, seq=self._seq, limits=self._limits)
        except BaseException:
            self.close()
            raise

    @property
    def worn(self) -> bool:
        """Whether a fresh one should take its place: it ran many batches, has grown, or left threads running."""
        if self._seq >= MOST_BATCHES or self.memory_bytes > self._limits.memory_bytes / 2:
            return True
        threads = self._channel.threads()
        return None not in (threads, self._threads) and threads != self._threads

    def close(self) -> None:
        """Ends the worker and all it started; safe to call twice."""
        self._alive = False
        self._channel.close()

    def _handshake(self, rlimits: Mapping[str, int], user: int | None) -> None:
        limits = self._limits
        start = {
            "type": "start",
            "rule": {"script": self._rule.script, "mode": self._rule.mode, "coverage": self._rule.coverage},
            "limits": {
                "rlimits": dict(rlimits),
                "user": user,
                "batch_seconds": limits.batch_seconds,
                "record_seconds": limits.record_seconds,
                "matches": limits.matches,
                "failures": limits.failures + 1,  # one more than allowed, so that it shows
                "reply_bytes": limits.reply_bytes,
                "log_bytes": limits.log_bytes,
            },
        }
        reply = self._ask(wire.frame(start), limits.start_seconds)
        if isinstance(reply, replies.Refusal):
            place = f"{reply.file or self._rule.script} line {reply.line}" if reply.line else self._rule.script
            raise WorkerError(
                "import",
                f"detection {self._rule.detection}: {place}: {one_line(reply.error)}",
                remedy="the script must load without an error before it can run; correct it and commit",
                file=reply.file,
                line=reply.line,
                log=reply.log[: limits.log_bytes],
            )
        if not isinstance(reply, replies.Ready):
            raise replies.protocol_error("a result before the rule was ready")

    def _exchange(self, parts: list[memoryview]) -> replies.Result | replies.Sifted | replies.Probed:
        limits = self._limits
        reply = self._ask(parts, limits.batch_seconds)
        if isinstance(reply, replies.Refusal):
            raise WorkerError(
                reply.outcome,
                f"detection {self._rule.detection}: {one_line(reply.error)}",
                remedy=_REMEDIES.get(reply.outcome, ""),
                log=reply.log[: limits.log_bytes],
            )
        if not isinstance(reply, replies.Result | replies.Sifted | replies.Probed):
            raise replies.protocol_error("no result")
        return reply

    def _ask(self, parts: list[memoryview], seconds: float) -> replies.Reply:
        asked = monotonic()
        deadline = asked + seconds + GRACE_SECONDS
        try:
            self._channel.send(parts, deadline)
            start = self._channel.receive(PREFIX_BYTES, deadline)
            length = header_length(start, self._limits.reply_bytes)
            return replies.parse(self._channel.receive(length, deadline))
        except FrameError as error:
            raise replies.protocol_error(str(error)) from error
        except TimeoutError as error:
            raise self._timeout(seconds) from error
        except EOFError:
            self._dead(self._channel.death(), monotonic() - asked)

    def _dead(self, death: Death, after: float) -> NoReturn:
        name, (file, line) = self._rule.detection, _place(death.stderr)
        place = f", at {file} line {line}" if file else ""
        if _WATCHDOG.search(death.stderr):
            raise self._timeout(self._limits.batch_seconds, file, line, early=after < self._limits.batch_seconds)
        if death.out_of_memory:
            raise WorkerError(
                "memory",
                f"detection {name} needed more memory than its limit of "
                f"{self._limits.memory_bytes // 2**20} MiB{place}",
                remedy="let it keep less at a time, or raise the limit",
                file=file,
                line=line,
            )
        how = "hung up" if death.code is None else f"ended with exit code {death.code}"
        words = f"; its last words: {one_line(death.stderr.strip()[-500:])}" if death.stderr.strip() else ""
        raise WorkerError(
            "crashed",
            f"the worker of detection {name} {how}{place}{words}",
            remedy="a rule must not end its process; where it does not, one of its requirements has crashed",
            file=file,
            line=line,
        )

    def _timeout(self, seconds: float, file: str = "", line: int = 0, *, early: bool = False) -> WorkerError:
        """`early`: the batch had time left, so it was one record that took too long, and would not be interrupted."""
        what = "one record took" if early else "it ran"
        place = f", at {file} line {line}" if file else ""
        return WorkerError(
            "timeout",
            f"detection {self._rule.detection}: {what} longer than the limit of "
            f"{self._limits.record_seconds if early else seconds:g} s{place}",
            remedy="look for a loop that does not end, or a slow regular expression",
            file=file,
            line=line,
        )


def _place(stderr: str) -> tuple[str, int]:
    """Where in the detection's own files the interpreter was, out of its last words (innermost call first)."""
    found = _PLACE.search(stderr)
    return (found[1], int(found[2])) if found else ("", 0)
