"""Telling deploy results: nothing is lost, whoever fails or is killed, and no secret is shown."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from trapline.deploy import results, tell
from trapline.deploy.memory import Memory
from trapline.deploy.results import DeployResult, current_result, write_status_file
from trapline.deploy.tell import Teller, make_tellers
from trapline.errors import Problem, TraplineError
from trapline.settings import Settings, parse
from trapline.state.database import Database
from trapline.state.schema import deployments, detections, events
from trapline_plugins.fake_server import Answer, Request, serving

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
REVISION = "0123456789abcdef"
OK = Answer(200)


class Clock:
    """The time, moved by hand. It starts at the machine's: signatures are checked against that."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **by: float) -> None:
        self.time += timedelta(**by)


class House:
    """A database in which things happen, and the tellers of one configuration."""

    def __init__(self, home: Path, http: httpx.Client) -> None:
        self.home = home
        self.database = Database.in_home(home)
        self.http = http
        self.clock = Clock()
        self.env = {"PATH": os.environ["PATH"], "SECRET": SECRET, "TOKEN": "t0k3n"}

    def happen(self, identity: str, kind: str = "deployed", *, message: str = "", revision: str = REVISION) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                events.insert().values(
                    at=self.clock(),
                    identity=identity,
                    kind=kind,
                    revision=revision,
                    build_digest="b1" if kind == "deployed" else "",
                    message=message,
                )
            )

    def know(self, identity: str, name: str, *, sync: str = "synced", message: str = "") -> None:
        with self.database.transaction() as connection:
            row = {"path": identity, "revision": REVISION, "updated_at": self.clock(), "message": message}
            connection.execute(detections.insert().values(identity=identity, name=name, sync=sync, **row))

    def tellers(self, on_deploy: str = "", command: str | None = None) -> tuple[list[Teller], list[Problem]]:
        settings, _ = parse(f"on_deploy: {on_deploy}\nprune: {{max_count: 1}}".encode())
        return make_tellers(
            settings, database=self.database, command=command, env=self.env, http=self.http, now=self.clock
        )

    def webhook(self, url: str, **more: Any) -> Teller:
        [teller], problems = self.tellers(json.dumps({"url": url, **more}))
        assert problems == []
        return teller

    def command(self, *words: str) -> Teller:
        [teller], problems = self.tellers(command=shlex.join(words))
        assert problems == []
        return teller


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with httpx.Client(trust_env=False, timeout=5) as http:
        house = House(tmp_path, http)
        yield house
        house.database.close()


def answering(*answers: Answer) -> Callable[[Request], Answer]:
    """The answers in turn, the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def body(request: Request) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(request.body)
    return document


def told(requests: list[Request]) -> list[str]:
    return [detection["identity"] for request in requests for detection in body(request)["detections"]]


def test_what_happened_is_told_signed_and_once(house: House) -> None:
    house.know("d1", "Root login")
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url, secret="${env:SECRET}")
        house.happen("d1")
        house.happen("d2", "stalled", message="line 3: no such name")
        house.happen("", "force-pushed", message="main was forced", revision="newest")
        assert [teller.tell() for _ in range(3)] == [None] * 3
    [request] = server.requests
    assert Verifier(SECRET).verify(request.body, request.headers) == body(request)
    at = house.clock().isoformat()
    assert body(request) == {
        "type": "deploy",
        "id": request.headers["webhook-id"],
        "revision": "newest",
        "at": at,
        "state": "failure",
        "detections": [
            {
                "name": "Root login",
                "identity": "d1",
                "action": "deployed",
                "message": "",
                "revision": REVISION,
                "build_digest": "b1",
                "at": at,
            },
            {
                "name": "d2",
                "identity": "d2",
                "action": "stalled",
                "message": "line 3: no such name",
                "revision": REVISION,
                "build_digest": "",
                "at": at,
            },
        ],
        "repository": [{"action": "force-pushed", "message": "main was forced", "revision": "newest", "at": at}],
    }


def test_what_stalled_before_and_still_does_is_part_of_the_state(house: House) -> None:
    for name in ("d1", "d2"):
        house.know(name, name)
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url)
        for identity, kind in (("d1", "stalled"), ("d2", "deployed"), ("d1", "suspended"), ("d1", "synced")):
            house.happen(identity, kind)
            assert teller.tell() is None
    assert [body(request)["state"] for request in server.requests] == ["failure", "failure", "failure", "success"]


def test_a_new_way_of_telling_begins_with_what_the_revision_in_force_has_brought(house: House) -> None:
    house.happen("long ago", revision="before")
    Memory(house.database).reached(REVISION, now=house.clock())
    house.happen("d1")
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url)
        house.happen("d2", revision="after")
        assert teller.tell() is None
    assert told(server.requests) == ["d1", "d2"]


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["deployed", "retired", "disabled"], "success"),
        (["deployed", "waiting"], "failure"),
        (["stalled", "deployed"], "failure"),
        (["stalled"], "failure"),
    ],
)
def test_the_state_is_that_of_all_together(house: House, kinds: list[str], state: str) -> None:
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url)
        for number, kind in enumerate(kinds):
            house.happen(f"d{number}", kind)
        teller.tell()
    assert body(server.requests[0])["state"] == state


@pytest.mark.parametrize(
    ("kinds", "state"), [(["stalled", "waiting", "deployed"], "success"), (["deployed", "stalled"], "failure")]
)
def test_of_each_detection_the_last_word_counts(house: House, kinds: list[str], state: str) -> None:
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url)
        for kind in kinds:
            house.happen("d", kind)
        teller.tell()
    assert body(server.requests[0])["state"] == state


def test_nothing_old_is_told(house: House) -> None:
    house.happen("before")
    with serving(answering(OK)) as server:
        house.webhook(server.url).tell()
        assert server.requests == []
        house.happen("after")
        house.webhook(server.url).tell()  # made anew, as for another trapline.yml: it goes on where it was
    assert told(server.requests) == ["after"]


def test_what_happened_while_on_deploy_was_gone_is_old(house: House) -> None:
    with serving(answering(OK)) as server:
        house.webhook(server.url)
        house.tellers()
        house.happen("between")
        teller = house.webhook(server.url)
        house.happen("after")
        teller.tell()
    assert told(server.requests) == ["after"]


def test_nor_is_what_happened_while_no_command_was_given(house: House, tmp_path: Path) -> None:
    words = ["cp", "/dev/stdin", str(tmp_path / "out")]
    house.command(*words)
    house.tellers()
    house.happen("between")
    assert house.command(*words).tell() is None
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("forgotten", [False, True])
def test_the_slower_of_two_controllers_sets_nothing_back(house: House, forgotten: bool) -> None:
    other = Database.in_home(house.home)

    def slow(result: DeployResult) -> None:
        """Another controller tells the same, and more, before this one is done."""
        said.append(result.id)
        house.happen("d2")
        for _ in range(2):
            fast.tell()
        if forgotten:
            make_tellers(Settings(), database=other, command=None, env={}, http=house.http, now=house.clock)

    said: list[str] = []
    teller = Teller("on_deploy", slow, database=house.database, now=house.clock)
    fast = Teller("on_deploy", lambda result: said.append(result.id), database=other, now=house.clock)
    house.happen("d1")
    teller.tell()
    for each in (teller, fast):
        assert each.tell() is None
    assert said == ["deploy_1_1", "deploy_1_1", "deploy_2_2"]
    other.close()


def test_a_receiver_that_fails_is_asked_ever_more_rarely_until_it_answers(house: House) -> None:
    with serving(answering(*[Answer(500)] * 12, OK)) as server:
        teller = house.webhook(server.url)
        house.happen("d1")
        said, pauses, last = [], [], house.clock()
        while len(server.requests) < 13:
            before = len(server.requests)
            said.append(teller.tell())
            if len(server.requests) > before:
                pauses.append((house.clock() - last).total_seconds())
                last = house.clock()
            house.clock.advance(seconds=10)
        house.happen("d2")
        teller.tell()
    assert [reason for reason in said if reason] == ["it answered 500 Internal Server Error"]  # said once
    expected = [min(30 * 2**attempt, 3600) for attempt in range(12)]
    assert all(0.8 * wanted <= got <= 1.2 * wanted + 10 for wanted, got in zip(expected, pauses[1:], strict=True))
    assert len({request.headers["webhook-id"] for request in server.requests[:13]}) == 1
    assert told(server.requests) == ["d1"] * 13 + ["d2"]


def test_a_reason_is_said_again_after_another_one(house: House) -> None:
    with serving(answering(Answer(500), Answer(404), Answer(404), Answer(500), OK, Answer(500))) as server:
        teller = house.webhook(server.url)
        said = []
        for _ in range(6):
            house.happen("d")
            said.append((teller.tell() or "").removeprefix("it answered ")[:3])
            house.clock.advance(hours=2)
    assert said == ["500", "404", "", "500", "", "500"]


def test_a_receiver_that_says_when_is_asked_then(house: House) -> None:
    with serving(answering(Answer(503, headers=(("Retry-After", "600"),)), OK)) as server:
        teller = house.webhook(server.url)
        house.happen("d")
        teller.tell()
        house.clock.advance(seconds=0.8 * 600 - 1)
        teller.tell()
        assert len(server.requests) == 1
        house.clock.advance(seconds=0.4 * 600 + 2)
        teller.tell()
    assert len(server.requests) == 2


def test_what_is_tried_again_is_the_same_although_more_has_happened(house: House) -> None:
    with serving(answering(Answer(None), OK)) as server:  # taken, and the answer lost
        teller = house.webhook(server.url)
        house.happen("d1")
        assert "no answer came" in (teller.tell() or "")
        house.happen("d2")
        house.clock.advance(minutes=1)
        teller.tell()
        teller.tell()
    first, again, more = server.requests
    assert (first.body, first.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])
    assert told([more]) == ["d2"]


def test_more_than_one_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_EVENTS", 3)
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url)
        for number in range(7):
            house.happen(f"d{number}")
        for _ in range(4):
            teller.tell()
    assert [len(body(request)["detections"]) for request in server.requests] == [3, 3, 1]
    assert told(server.requests) == [f"d{number}" for number in range(7)]


def test_events_that_are_gone_hold_nothing_up(house: House) -> None:
    with serving(answering(Answer(500), OK)) as server:
        teller = house.webhook(server.url)
        house.happen("d1")
        teller.tell()
        house.happen("d2")
        with house.database.transaction() as connection:
            connection.execute(events.delete().where(events.c.identity == "d1"))
        for _ in range(3):
            house.clock.advance(hours=1)
            assert teller.tell() is None
    assert told(server.requests) == ["d1", "d2"]


KILLED = """
import os, sys
from datetime import timedelta
from pathlib import Path
import httpx
from trapline.clock import system_clock
from trapline.deploy import tell
from trapline.settings import Settings, parse
from trapline.state.database import Database

def post_and_die(*arguments, **named):
    outcome = post(*arguments, **named)
    os.kill(os.getpid(), 9)

post, tell.post = tell.post, post_and_die
settings, _ = parse(b"on_deploy: {url: '" + sys.argv[2].encode() + b"'}")
[teller], _ = tell.make_tellers(settings, database=Database.in_home(Path(sys.argv[1])), command=None, env={},
                                http=httpx.Client(trust_env=False), now=system_clock)
teller.tell()
"""


def test_a_kill_between_sending_and_writing_down_tells_twice_with_one_id(house: House) -> None:
    with serving(answering(OK)) as server:
        house.webhook(server.url)
        house.happen("d1")
        killed = subprocess.run([sys.executable, "-c", KILLED, str(house.home), server.url])
        assert killed.returncode == -signal.SIGKILL
        house.happen("d2")
        teller = house.webhook(server.url)
        for _ in range(3):
            assert teller.tell() is None
    first, again, more = server.requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert told([more]) == ["d2"]


def test_a_long_message_is_cut(house: House) -> None:
    with serving(answering(OK)) as server:
        teller = house.webhook(server.url)
        house.happen("d", "stalled", message="x" * 10_000)
        teller.tell()
    assert len(body(server.requests[0])["detections"][0]["message"]) == 500


@pytest.mark.parametrize(
    ("on_deploy", "line", "words"),
    [
        ("{url: '${env:MISSING}'}", 1, "MISSING is not set"),
        ("{url: 'ftp://host/p4ssw0rd'}", 1, "`on_deploy.url` is wrong: this is not an http:// or https:// address"),
        ("{url: 'http://h/', secret: '${env:TOKEN}'}", 1, "`on_deploy.secret` is wrong: this is not a Standard"),
        ("{url: 'http://h/', headers: {Webhook-Id: x}}", 1, "the header Webhook-Id is set by Trapline itself"),
    ],
)
def test_what_is_wrong_with_on_deploy_has_its_line(house: House, on_deploy: str, line: int, words: str) -> None:
    tellers, [problem] = house.tellers(on_deploy)
    assert tellers == []
    assert (problem.path, problem.line, problem.severity) == ("trapline.yml", line, "error")
    assert words in problem.message
    assert "t0k3n" not in str(problem)
    assert "p4ssw0rd" not in str(problem)


def test_secrets_are_in_no_reason(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.env["URL"] = "http://user:p4ssw0rd@127.0.0.1:1/h00k?key=qu3ry42"
    with echo() as port:
        urls = ("${env:URL}", "http://${env:TOKEN}.invalid/", f"http://127.0.0.1:{port}/h00k?key=${{env:TOKEN}}")
        said = []
        for url in urls:
            teller = house.webhook(url, headers={"Authorization": "Bearer ${env:TOKEN}"}, secret="${env:SECRET}")
            house.happen("d")
            said.append(teller.tell() or "")
    assert all(said)
    for secret in ("p4ssw0rd", "h00k", "qu3ry42", "t0k3n", SECRET):
        assert secret not in "".join(said) + caplog.text


@contextmanager
def echo() -> Iterator[int]:
    """A receiver that answers one request with the request itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            client, _ = listening.accept()
            with client:
                client.sendall(client.recv(65536))

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


RECORD = """
import os, sys
with open(sys.argv[1], "a") as file:
    said = [os.environ[name] for name in ("TRAPLINE_STATE", "TRAPLINE_REVISION", "TOKEN")]
    print(sys.stdin.read(), *said, file=file)
sys.exit(0 if len(open(sys.argv[1]).readlines()) > 1 else 3)
"""


def test_a_command_gets_it_on_its_standard_input_until_it_takes_it(house: House, tmp_path: Path) -> None:
    out = tmp_path / "out put"
    teller = house.command(sys.executable, "-c", RECORD, str(out), "--token=s3cret")
    house.happen("d", "waiting", message="$(touch /tmp/no)")
    assert [teller.tell(), teller.tell()] == [f"{sys.executable} exited with 3", None]
    house.clock.advance(minutes=1)
    assert [teller.tell(), teller.tell()] == [None, None]
    first, again = out.read_text().splitlines()
    assert first == again
    text, *rest = first.rsplit(maxsplit=3)
    assert rest == ["failure", REVISION, "t0k3n"]
    assert json.loads(text)["detections"][0]["message"] == "$(touch /tmp/no)"


def test_a_command_that_is_not_there(house: House) -> None:
    teller = house.command("/no/such/command", "s3cret")
    house.happen("d")
    assert teller.tell() == "/no/such/command cannot be started: No such file or directory"


def test_a_command_that_does_not_read_is_no_failure(house: House) -> None:
    teller = house.command("true")
    for number in range(400):
        house.happen(f"d{number}", "stalled", message="x" * 500)
    assert teller.tell() is None


def test_a_command_that_hangs_is_killed_with_its_children(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tell, "COMMAND_SECONDS", 1.0)
    pids = tmp_path / "pids"
    teller = house.command("sh", "-c", f"sleep 60 & echo $! $$ > {pids}; wait")
    house.happen("d")
    began = monotonic()
    assert teller.tell() == "sh took longer than 1 s and was killed"
    assert monotonic() - began < 10
    for pid in map(int, pids.read_text().split()):
        deadline = monotonic() + 5
        while running(pid) and monotonic() < deadline:
            sleep(0.01)
        assert not running(pid)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_cannot_be_read_is_an_error_of_the_flag(house: House) -> None:
    with pytest.raises(TraplineError, match="--on-deploy cannot be read: No closing quotation") as caught:
        house.tellers(command="notify 'unfinished")
    assert "quote" in caught.value.remedy
    assert house.tellers(command="  ") == ([], [])


def test_each_way_has_its_own_place(house: House, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with serving(answering(Answer(500))) as server:
        words = shlex.join(["cp", "/dev/stdin", str(out)])
        tellers, _ = house.tellers(json.dumps({"url": server.url}), words)
        house.happen("d")
        reasons = {teller.name: teller.tell() for teller in tellers}
    assert reasons == {"on_deploy": "it answered 500 Internal Server Error", "--on-deploy": None}
    assert len(out.read_text().splitlines()) == 1


def test_the_status_file_says_how_everything_stands(house: House) -> None:
    house.know("d2", "Many logins", sync="stalled", message="no such name")
    house.know("d1", "Root login")
    with house.database.transaction() as connection:
        row = {"deploy_digest": "x", "revision": REVISION, "mode": "record", "config": {}, "deployed_at": house.clock()}
        connection.execute(deployments.insert().values(identity="d1", name="Root login", build_digest="b1", **row))
    path = house.home / "deploy.json"
    write_status_file(path, current_result(house.database, revision="newest", now=house.clock()))
    document = json.loads(path.read_text())
    assert (document["type"], document["revision"], document["state"]) == ("deploy", "newest", "failure")
    said = [(each["name"], each["action"], each["message"], each["build_digest"]) for each in document["detections"]]
    assert said == [("Many logins", "stalled", "no such name", ""), ("Root login", "synced", "", "b1")]
    assert "id" not in document


def test_the_status_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deploy.json"
    now = datetime(2026, 1, 1, tzinfo=UTC)
    write_status_file(path, DeployResult("r1", now, ()))
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_status_file(path, DeployResult("r2", now, ()))
    assert path.read_text() == before
    write_status_file(path, DeployResult("r3", now, ()))
    assert json.loads(path.read_text())["revision"] == "r3"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["deploy.json"]


def test_what_killed_writers_of_the_status_file_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    old, young, other = (tmp_path / name for name in (".deploy.json.abc", ".deploy.json.def", ".deploy.jsonl"))
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    write_status_file(tmp_path / "deploy.json", DeployResult("r1", datetime(2026, 1, 1, tzinfo=UTC), ()))
    assert set(tmp_path.iterdir()) == {young, other, tmp_path / "deploy.json"}
