"""Some other sides that are well, in a process of their own, which remember when each delivery came.

`python -m tests.bench.alerts_receiver 6` prints their addresses, serves until its standard input ends, and then prints
when it saw each `webhook-id` first, by the clock that all processes of the machine share.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trapline_plugins.fake_server import Answer, Request, serving

_ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Receiver:
    """Where the other sides are; `seen` is filled when they have ended."""

    urls: list[str]
    seen: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def receiving(count: int) -> Iterator[Receiver]:
    """Runs so many other sides until the block ends."""
    command = [sys.executable, "-m", "tests.bench.alerts_receiver", str(count)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        receiver = Receiver(json.loads(process.stdout.readline()))
        try:
            yield receiver
        finally:
            process.stdin.close()
            receiver.seen = json.loads(process.stdout.readline())


def _main(count: int) -> None:
    seen: dict[str, float] = {}

    def take(request: Request) -> Answer:
        seen.setdefault(request.headers["webhook-id"], time.monotonic())
        return Answer(204)

    with ExitStack() as ends:
        print(json.dumps([ends.enter_context(serving(take)).url for _ in range(count)]), flush=True)
        sys.stdin.read()
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
