"""What every backend must do, each in turn with real processes and containers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from trapline.errors import TraplineError
from trapline.workers.backends.layout import runtime_digest
from trapline.workers.interface import (
    Backend,
    BatchReply,
    Build,
    BuildDigest,
    FailureReply,
    Limits,
    MatchReply,
    Rule,
    Seal,
    Worker,
    WorkerError,
)

BATCH = pa.RecordBatch.from_pydict({"n": [0, 1, 2, 3]})
Run = Callable[..., BatchReply]
Start = Callable[..., Worker]


def test_the_format_of_one_record_at_a_time(run: Run) -> None:
    reply = run(
        "def detect(record):\n    if record['n'] == 1:\n        raise ValueError('one')\n    return record['n'] > 1\n"
        "def title(record): return f\"n is {record['n']}\"\n"
        "def destinations(record): return ['a']\n"
        "def alert_context(record): return record.to_dict()\n"
    )
    assert reply == BatchReply(
        matches=tuple(MatchReply(row=n, title=f"n is {n}", destinations=("a",), context={"n": n}) for n in (2, 3)),
        failures=(FailureReply(1, "detect", "ValueError: one", "detect.py", 3),),
        log="",
    )


def test_the_format_of_all_records_of_a_batch(run: Run) -> None:
    reply = run(
        "def detect(records):\n    for record in records:\n        if record['n'] == 3:\n"
        "            yield {'record': record, 'severity': 'high', 'count': len(records)}\n    yield {'title': 'all'}\n",
        "batch",
    )
    assert reply.matches == (
        MatchReply(row=3, severity="high", context={"count": 4}),
        MatchReply(row=None, title="all"),
    )


def test_a_probe_tells_what_expressions_come_to(start: Start) -> None:
    reply = start("def detect(record):\n    return record['n'] > 1 and undefined\n").probe(BATCH.slice(2, 1))
    assert [one.value for one in reply.values if one.times] == ["2", "True"]
    assert reply.failure is not None
    assert (reply.failure.error, reply.failure.line) == ("NameError: name 'undefined' is not defined", 2)


def test_a_worker_answers_batch_after_batch(start: Start) -> None:
    worker = start("seen = []\ndef detect(r):\n    seen.append(r['n'])\n    return len(seen) == 6\n")
    assert worker.run(BATCH).matches == ()
    assert [match.row for match in worker.run(BATCH).matches] == [1]
    assert worker.run(BATCH.slice(0, 0)) == BatchReply((), (), "")
    assert worker.alive


def test_prints_go_to_the_log(start: Start) -> None:
    worker = start(
        "import os, subprocess, sys\nprint('loaded')\ndef detect(r):\n    print('said', r['n'])\n"
        "    print('aside', file=sys.stderr)\n    os.write(1, b'raw')\n    sys.__stdout__.write('!')\n    input\n"
    )
    assert worker.run(BATCH.slice(0, 1)).log == "loaded\nsaid 0\naside\n!"
    assert worker.run(BATCH.slice(1, 1)).log == "said 1\naside\n!"


def test_the_log_is_bounded(run: Run) -> None:
    reply = run("def detect(r): print('x' * 1000)", limits=Limits(log_bytes=100))
    assert reply.log.startswith("x" * 100 + "\n... and 3904 characters more")


def test_nothing_of_the_controller_is_importable(run: Run) -> None:
    names = ("trapline", "trapline_plugins", "pyarrow", "pydantic", "yaml", "docker", "pip", "setuptools", "pytest")
    reply = run(
        "import importlib\ndef detect(r):\n"
        f"    for name in {names!r}:\n        try:\n            importlib.import_module(name)\n"
        "        except ImportError:\n            continue\n        print(name)\n"
    )
    assert (reply.log, reply.failures) == ("", ())


def test_the_environment_is_empty(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    reply = run(
        "import os\nfrom pathlib import Path\nprint(dict(os.environ), os.listdir())\ndef detect(r):\n"
        "    for name in ('self', '1'):\n        try:\n            text = Path('/proc', name, 'environ').read_bytes()\n"
        "        except OSError:\n            continue\n        print(text.count(b'do not tell'))\n"
    )
    assert set(reply.log.splitlines()) <= {"{} []", "0"}


def test_requirements_are_importable_and_shadow_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "handy").mkdir()
    (tmp_path / "handy/__init__.py").write_text("answer = 42")
    (tmp_path / "base64.py").write_text("raise RuntimeError('shadowed')")
    (tmp_path / "evil.pth").write_text("import os; os._exit(3)")
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(3)")
    reply = run(
        "import base64, handy, helper, json, trapline_sandbox\n"
        "print(handy.answer, helper.answer, json.dumps(1), hasattr(trapline_sandbox, 'Record'))\ndef detect(r): ...",
        requirements=tmp_path,
        json__py="raise RuntimeError('shadowed')",
        trapline_sandbox__py="raise RuntimeError('shadowed')",
        helper__py="answer = 43",
    )
    assert reply.log == "42 43 1 True\n"


def test_one_rules_globals_are_not_anothers(run: Run) -> None:
    run("import json\njson.dumps = None\ndef detect(r): ...")
    assert run("import json\nprint(json.dumps(1))\ndef detect(r): ...").log == "1\n"


def test_the_detections_files_cannot_be_written(run: Run, backend: Backend) -> None:
    if backend.name == "process":
        pytest.skip("no security boundary, and says so")
    reply = run(
        "from pathlib import Path\ndef detect(r):\n    Path(__file__).write_text('')\n    return True\n",
    )
    assert len(reply.failures) == 4
    assert "Error" in reply.failures[0].error


# Every way to die


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import nope\n", "detect.py line 1: ModuleNotFoundError: No module named 'nope'"),
        ("x = 1\n", "detect.py defines no function detect"),
        ("def detect(:\n", "detect.py line 1: SyntaxError: invalid syntax"),
    ],
)
def test_a_script_that_cannot_be_imported(start: Start, script: str, words: str) -> None:
    with pytest.raises(WorkerError) as raised:
        start(script)
    assert raised.value.outcome == "import"
    assert "detection demo" in raised.value.message
    assert words in raised.value.message
    assert raised.value.remedy


def test_a_loop_ends_at_the_limit_and_is_located(start: Start) -> None:
    worker = start("def detect(r):\n    while True:\n        pass\n", limits=Limits(batch_seconds=0.5))
    began = time.monotonic()
    with pytest.raises(WorkerError, match=r"ran longer than the limit of 0\.5 s, at detect.py line [23]") as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "timeout"
    assert time.monotonic() - began < 30
    assert not worker.alive
    with pytest.raises(WorkerError, match="has ended already"):
        worker.run(BATCH)


def test_a_loop_that_disarms_the_watchdog_ends_too(start: Start) -> None:
    script = (
        "import faulthandler\ndef detect(r):\n    faulthandler.cancel_dump_traceback_later()\n    while True: pass\n"
    )
    with pytest.raises(WorkerError) as raised:
        start(script, limits=Limits(batch_seconds=0.2)).run(BATCH)
    assert raised.value.outcome == "timeout"


def test_an_endless_import_ends_too(start: Start) -> None:
    with pytest.raises(WorkerError) as raised:
        start("while True: pass\n", limits=Limits(start_seconds=1))
    assert raised.value.outcome == "timeout"


@pytest.mark.parametrize("hoard", ["bytearray(10**12)", "[bytearray(10**7) for _ in range(100)]"])
def test_too_much_memory(start: Start, hoard: str) -> None:
    worker = start(f"def detect(r):\n    x = {hoard}\n    return False\n", limits=Limits(memory_bytes=200 * 2**20))
    with pytest.raises(WorkerError, match="more memory than its limit of 200 MiB") as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "memory"
    assert not worker.alive


def test_a_batch_that_does_not_fit_into_memory(start: Start) -> None:
    worker = start("def detect(r): return False", limits=Limits(memory_bytes=100 * 2**20, batch_seconds=20))
    big = pa.RecordBatch.from_pydict({"s": ["x" * 2**20] * 200})
    with pytest.raises(WorkerError) as raised:
        worker.run(big)
    assert raised.value.outcome == "memory"


def test_a_crash(start: Start) -> None:
    worker = start("import os\ndef detect(r):\n    os._exit(7)\n")
    with pytest.raises(WorkerError, match="detection demo ended with exit code 7") as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "crashed"


def test_a_crash_of_the_interpreter_is_located(start: Start) -> None:
    worker = start("import faulthandler\ndef detect(r):\n    faulthandler._sigabrt()\n")
    with pytest.raises(WorkerError, match=r"at detect\.py line 3") as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "crashed"


def test_a_reply_above_the_limit(start: Start) -> None:
    worker = start("def detect(r): return True\ndef title(r): return 'x' * 900", limits=Limits(reply_bytes=1000))
    with pytest.raises(WorkerError, match=r"the reply is \d+ bytes, more than the limit of 1000") as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "output"


FORGE = """
import os, stat
from trapline_sandbox.frames import MAGIC, prefix

def sockets():
    for fd in range(3, 64):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
            yield fd

def say(data):
    for fd in sockets():
        try:
            os.write(fd, data)
        except OSError:
            continue

def detect(record):
    say({data})
    return False
"""


@pytest.mark.parametrize(
    "data",
    [
        "b'garbage! garbage! garbage!'",
        "MAGIC + b'\\xff\\xff\\xff\\xff'",
        "prefix(b'nojson') + b'nojson'",
        "prefix(b'[' * 5000) + b'[' * 5000",
        'prefix(b\'{"type": "ready", "python": "3", "functions": []}\') + '
        'b\'{"type": "ready", "python": "3", "functions": []}\'',
    ],
)
def test_a_forged_protocol(start: Start, data: str) -> None:
    worker = start(FORGE.replace("{data}", data))
    with pytest.raises(WorkerError) as raised:
        worker.run(BATCH)
    assert raised.value.outcome == "protocol"
    assert not worker.alive


def test_a_reply_sent_twice_is_found_out(start: Start) -> None:
    reply = '{"type":"result","seq":1,"matches":[],"failures":[],"complete":true,"memory":1,"log":""}'
    worker = start(FORGE.replace("{data}", f"prefix(b'{reply}') + b'{reply}'"))
    worker.run(BATCH.slice(0, 1))
    with pytest.raises(WorkerError, match="batch 1, where batch 2 was asked about"):
        worker.run(BATCH.slice(0, 1))


# Builds


def test_builds_are_asked_for_made_and_removed(backend: Backend, build_of: Callable[..., Build]) -> None:
    one, two = build_of("def detect(r): ..."), build_of("def detect(r): ...")
    before = backend.built()
    seals = {build.digest: backend.build(build) for build in (one, two)}
    assert backend.build(one) == seals[one.digest]
    assert _since(before, backend) == seals
    backend.remove([one.digest, BuildDigest("never-built")])
    assert _since(before, backend) == {two.digest: seals[two.digest]}
    backend.remove([two.digest])


def test_running_a_worker_leaves_the_seal_as_it_is(backend: Backend, start: Start, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("N = 1")
    before = backend.built()
    worker = start("import helper, more\ndef detect(r): return True", requirements=tmp_path, more__py="M = 1")
    seals = _since(before, backend)
    assert len(worker.run(BATCH).matches) == 4
    worker.close()
    assert len(seals) == 1
    assert _since(before, backend) == seals


def test_what_is_not_built_cannot_be_started(backend: Backend) -> None:
    with pytest.raises(WorkerError, match="not built") as raised:
        backend.start(BuildDigest("never-built"), Rule("demo", "detect.py", "record"), Limits())
    assert raised.value.outcome == "unavailable"


def test_a_removed_build_does_not_stop_its_worker(
    backend: Backend, start: Start, build_of: Callable[..., Build]
) -> None:
    worker = start("def detect(r): return True")
    backend.remove(backend.built())
    assert len(worker.run(BATCH).matches) == 4


@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil", "a/../../evil"])
def test_a_path_cannot_lead_out_of_the_detection(backend: Backend, build_of: Callable[..., Build], path: str) -> None:
    build = build_of("def detect(r): ...")
    build = Build(build.digest, "demo", {**build.files, path: (b"", False)}, None)
    with pytest.raises(TraplineError, match="leads out of it"):
        backend.build(build)
    assert build.digest not in backend.built()


def test_the_platform_is_part_of_the_digests_input(backend: Backend) -> None:
    version, platform = backend.python()
    assert version in backend.platform()
    assert runtime_digest() in backend.platform()
    assert platform.count("-") == 3 or platform.endswith("-apple-darwin")
    assert backend.describe().startswith(backend.name)


def _since(before: Mapping[BuildDigest, Seal], backend: Backend) -> dict[BuildDigest, Seal]:
    """What was built since; other tests' builds are in the same home or scope."""
    return {digest: seal for digest, seal in backend.built().items() if digest not in before}
