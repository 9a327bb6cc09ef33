"""Where packs are from: what is refused, what hangs or breaks off, what a pin may be, and who hears of a token."""

from __future__ import annotations

import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.controller.source.test_https import Forge, serving
from tests.packed import Both, live, plant, said
from tests.playground import MATCH_BAD, Playground, actions
from tests.reliability.test_remote import MIDWAY, Remote
from trapline.controller import Controller
from trapline.deploy.reconcile import How
from trapline.options import Options
from trapline.packs.store import PackStore
from trapline.settings import PackSettings
from trapline.source.tree import SourceError


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


@pytest.fixture
def controller(both: Both) -> Iterator[Controller]:
    options = Options(both.own.home, str(both.own.repository), sandbox="process", git_seconds=3)
    with Controller(options, now=lambda: both.own.now, write=both.own.said.append) as controller:
        yield controller


def beside(both: Both, root: Path) -> dict[str, object]:
    """The entry of another pack, which is as it should be."""
    good = Playground(root / "good")
    good.detection("fine")
    return {"good": {"source": str(good.repository), "revision": good.commit(), "enable": ["fine"]}}


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "source",
    [
        "ext::sh -c touch% owned",
        "-oProxyCommand=touch owned",
        "--upload-pack=touch owned",
        "fd::17",
        "ftp://example.com/pack.git",
        "https://[broken",
        "https://example.com/a\nb.git",
    ],
)
def test_a_source_that_is_refused(both: Both, controller: Controller, tmp_path: Path, source: str) -> None:
    both.use("all", source=source, others=beside(both, tmp_path))
    report = controller.reconcile()
    assert live(controller) == {"mine", "good/fine"}
    [problem] = report.problems
    text = both.own.repository.joinpath("trapline.yml").read_text()
    assert (problem.path, problem.line) == ("trapline.yml", text.split("source:")[0].count("\n") + 1)
    assert "is refused" in problem.message
    assert "use an https://" in problem.remedy
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize("source", ["file:///etc", "/etc", "/nothing/there"])
def test_a_source_that_is_no_repository(both: Both, controller: Controller, tmp_path: Path, source: str) -> None:
    both.use("all", source=source, others=beside(both, tmp_path))
    report = controller.reconcile()
    assert live(controller) == {"mine", "good/fine"}
    assert f"there is no git repository at {source}" in said(report)
    assert "root:" not in said(report)  # a line of /etc/passwd


def test_ones_own_repository_as_a_pack(both: Both, controller: Controller) -> None:
    both.own.detection("more")
    pin = both.own.commit()
    both.use("all", source=str(both.own.repository), revision=pin)
    report = controller.reconcile()
    assert live(controller) == {"mine", "more", "acme/mine", "acme/more"}
    assert not report.problems


def test_one_source_twice_at_other_pins(both: Both, controller: Controller) -> None:
    both.theirs.detection("quiet", f"{MATCH_BAD}  # later\n")
    entry = {"source": str(both.theirs.repository), "revision": both.theirs.commit(), "enable": ["quiet"]}
    both.use("quiet", others={"later": entry})
    controller.reconcile()
    builds = {one.name: one.build_digest for one in controller.ledger.deployments().values()}
    assert builds.keys() == {"mine", "acme/quiet", "later/quiet"}
    assert builds["acme/quiet"] != builds["later/quiet"]


def test_a_pin_that_a_force_push_dropped(both: Both, controller: Controller) -> None:
    both.use("quiet")
    controller.reconcile()
    both.theirs.rewrite()
    git(both.theirs.repository, "reflog", "expire", "--expire=now", "--all")
    git(both.theirs.repository, "gc", "-q", "--prune=now")
    both.use("quiet", "loud")
    assert actions(controller.reconcile())["acme/loud"] == "deployed"  # the mirror still has it
    both.use("all", revision="1" * 40)
    report = controller.reconcile(How(retry_now=True))
    assert f"has no commit {'1' * 12} in HEAD; it stays at {both.pin[:12]}" in said(report)
    assert live(controller) == {"mine", "acme/quiet", "acme/loud", "acme/third"}


@pytest.mark.parametrize("kind", ["tag", "tree", "blob"])
def test_a_pin_that_is_no_commit(both: Both, controller: Controller, kind: str) -> None:
    repository = both.theirs.repository
    git(repository, "tag", "-am", "One", "v1")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    name = {"tag": "v1", "tree": "HEAD^{tree}", "blob": "HEAD:trapline.yml"}[kind]
    pin = git(repository, "rev-parse", name)
    both.use("quiet", revision=pin, ref="v1" if kind == "tag" else "main")
    [problem] = controller.reconcile().problems
    assert live(controller) == {"mine"}
    if kind == "tag":
        assert problem.remedy == f"write the commit that it is of: {both.pin}"
    else:
        assert f"has no commit {pin[:12]} in main" in problem.message


def test_a_pin_of_another_branch(both: Both, controller: Controller) -> None:
    """A pin is the id of what its user has seen, wherever it is found in the repository."""
    git(both.theirs.repository, "checkout", "-q", "-b", "side")
    both.theirs.detection("quiet", f"{MATCH_BAD}  # aside\n")
    pin = both.theirs.commit()
    git(both.theirs.repository, "checkout", "-q", "main")
    both.use("quiet", revision=pin, ref="main")
    assert actions(controller.reconcile())["acme/quiet"] == "deployed"


def test_more_to_fetch_than_anybody_wrote(both: Both, tmp_path: Path) -> None:
    noise = subprocess.run(["head", "-c", "3000000", "/dev/urandom"], capture_output=True, check=True).stdout
    pin = plant(both.theirs.repository, {b"noise": noise})
    pack = PackSettings(source=str(both.theirs.repository), revision=pin)
    with pytest.raises(SourceError, match="has more to fetch than anybody wrote by hand") as caught:
        PackStore(tmp_path / "small", largest=2**20).fetch(pack, env={})
    assert caught.value.code == "too-large"
    assert sum(file.stat().st_size for file in (tmp_path / "small").rglob("*")) < 2**21
    PackStore(tmp_path / "large").fetch(pack, env={})


def test_a_server_that_never_answers(both: Both, controller: Controller, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/pack.git"
        both.use("all", source=url, others=beside(both, tmp_path))
        report = controller.reconcile()
    assert live(controller) == {"mine", "good/fine"}
    assert f"{url} did not answer within 3 s; what is live of it runs on" in said(report)


class Cut(Remote):
    """A server whose connections end in the middle."""

    def _hang(self, connection: socket.socket) -> None:
        self.hung += 1


@pytest.mark.parametrize("server", [Remote, Cut])
def test_a_server_that_stops_in_the_middle(
    both: Both, controller: Controller, tmp_path: Path, server: type[Remote]
) -> None:
    both.theirs.write("noise", "".join(f"{number**5}\n" for number in range(20_000)))
    pin = both.theirs.commit()
    remote = server(both.theirs.repository)
    remote.allowed = MIDWAY
    with closing(remote):
        both.use("quiet", source=remote.url, revision=pin, others=beside(both, tmp_path))
        report = controller.reconcile()
        assert live(controller) == {"mine", "good/fine"}
        assert remote.hung
        assert "pack-not-read" in said(report)
        remote.allowed = None
        assert actions(controller.reconcile(How(retry_now=True)))["acme/quiet"] == "deployed"


@pytest.fixture
def forge(both: Both) -> Iterator[Forge]:
    with serving(Forge(both.theirs.repository.parent)) as forge:
        forge.url = forge.url.replace("/origin/", "/repository/")
        yield forge


def header(token: str) -> str:
    return f"Basic {b64encode(f'x-access-token:{token}'.encode()).decode()}"


def test_a_token_is_sent_to_its_own_host_alone(
    both: Both, controller: Controller, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_TOKEN", "hush-hush")
    forge.users = {"x-access-token:hush-hush"}
    with serving(Forge(both.theirs.repository.parent)) as other:
        other.url = other.url.replace("/origin/", "/repository/")
        others = {"other": {"source": other.url, "revision": both.pin, "enable": ["loud"]}}
        both.use("quiet", source=forge.url, token="${env:PACK_TOKEN}", others=others)
        assert not controller.reconcile().problems
        assert live(controller) == {"mine", "acme/quiet", "other/loud"}
        assert set(forge.seen) == {header("hush-hush")}
        assert set(other.seen) == {None}
        other.seen.clear()
        forge.leads_to = other.url.removesuffix("/repository/.git")
        both.theirs.detection("quiet", f"{MATCH_BAD}  # later\n")
        both.use("quiet", source=forge.url, token="${env:PACK_TOKEN}", others=others, revision=both.theirs.commit())
        report = controller.reconcile()
        assert "where a token is not taken along" in said(report)
        assert "`source` of the pack" in said(report)
        assert other.seen == []


@pytest.mark.parametrize("where", ["token", "source"])
def test_a_secret_is_shown_nowhere(
    both: Both, controller: Controller, forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("PACK_TOKEN", "hush-hush")
    forge.users = {"x-access-token:another"}
    if where == "token":
        both.use("quiet", source=forge.url, token="${env:PACK_TOKEN}")
    else:
        both.use("quiet", source=forge.url.replace("//", "//x-access-token:hush-hush@"))
    told = said(controller.reconcile()) + said(controller.reconcile()) + str(controller.memory.problems())
    assert "wants other credentials" in told
    assert "hush-hush" not in told
    assert header("hush-hush").split()[1] not in told
    settings = controller.settings()
    assert settings
    with pytest.raises(SourceError, match="was not fetched yet") as caught:
        PackStore(tmp_path / "empty").tree(settings.packs["acme"])
    assert "hush-hush" not in str(caught.value)
