"""A repository behind a token: git's own HTTP server on a real socket."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.git_server import Forge, serving
from trapline.source.access import Access
from trapline.source.git import Mirror
from trapline.source.tree import SourceError

if TYPE_CHECKING:
    from .conftest import Origin


@pytest.fixture
def forge(origin: Origin) -> Iterator[Forge]:
    with serving(Forge(origin.path.parent, users={"x-access-token:right"})) as forge:
        yield forge


Fetch = Callable[..., str]


@pytest.fixture
def fetch(forge: Forge, tmp_path: Path) -> Fetch:
    def fetch(access: Access, *, url: str = forge.url) -> str:
        return Mirror(url, tmp_path / "mirror", access=access).fetch()

    return fetch


def test_the_right_token(origin: Origin, forge: Forge, fetch: Fetch) -> None:
    for text in ("1", "2"):
        assert origin.commit(a=text) == fetch(Access(token="right"))
    assert None not in forge.seen  # it is not held back until a server asks


def test_the_user_of_the_url_is_the_tokens(origin: Origin, forge: Forge, fetch: Fetch) -> None:
    commit = origin.commit(a="1")
    forge.users = {"oauth2:right"}
    assert fetch(Access(token="right"), url=forge.url.replace("//", "//oauth2@")) == commit
    assert fetch(Access(), url=forge.url.replace("//", "//oauth2:right@")) == commit


@pytest.mark.parametrize("access", [Access(), Access(token="wrong-token")])
def test_no_token_or_a_wrong_one(origin: Origin, forge: Forge, fetch: Fetch, access: Access) -> None:
    origin.commit(a="1")
    with pytest.raises(
        SourceError, match=r"wants other credentials .*--git-token-file or TRAPLINE_GIT_TOKEN"
    ) as caught:
        fetch(access)
    assert caught.value.code == "no-access"
    assert "wrong-token" not in str(caught.value)
    assert b64encode(b"x-access-token:wrong-token").decode() not in str(caught.value)


def test_a_token_that_rotates(origin: Origin, forge: Forge, fetch: Fetch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    access = Access(token_file=file)
    for token in ("first", "second"):
        forge.users = {f"x-access-token:{token}"}
        file.write_text(token)
        commit = origin.commit(a=token)
        assert fetch(access) == commit


def test_a_token_is_on_no_command_line(
    origin: Origin, forge: Forge, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit(a="1")
    log = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(log))
    assert fetch(Access(token="right")) == commit
    assert fetch(Access(), url=forge.url.replace("//", "//x-access-token:right@")) == commit
    told = log.read_text()
    assert "ls-remote" in told
    assert "right" not in told
    assert b64encode(b"x-access-token:right").decode() not in told


def test_a_token_does_not_follow_to_another_host(origin: Origin, forge: Forge, fetch: Fetch) -> None:
    origin.commit(a="1")
    with serving(Forge(origin.path.parent)) as other:
        forge.leads_to = other.url.removesuffix("/origin/.git")
        with pytest.raises(SourceError, match=r"sends its callers to another address, .*--repository") as caught:
            fetch(Access(token="right"))
        assert "right" not in str(caught.value)
        assert forge.seen
        assert other.seen == []


def test_without_a_token_a_redirect_is_followed(origin: Origin, forge: Forge, fetch: Fetch) -> None:
    commit = origin.commit(a="1")
    with serving(Forge(origin.path.parent)) as other:
        forge.leads_to = other.url.removesuffix("/origin/.git")
        assert fetch(Access()) == commit


def test_a_repository_that_is_not_there(origin: Origin, forge: Forge, fetch: Fetch) -> None:
    with pytest.raises(SourceError, match="there is no git repository at") as caught:
        fetch(Access(token="right"), url=forge.url.replace("/origin/", "/nothing/"))
    assert caught.value.code == "not-a-repository"


def test_a_credential_helper_is_not_asked_for_a_refused_token(
    origin: Origin, forge: Forge, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be told to forget what it has."""
    config = tmp_path / "gitconfig"
    config.write_text(f'[credential]\n\thelper = "!f() {{ echo $1 >> {tmp_path}/asked; }}; f"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with pytest.raises(SourceError):
        fetch(Access())
    assert (tmp_path / "asked").read_text() == "get\n"
    with pytest.raises(SourceError):
        fetch(Access(token="wrong"))
    assert (tmp_path / "asked").read_text() == "get\n"
