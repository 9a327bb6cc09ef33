"""What Access hands to git and ssh, without a server: who gets it, and how it is written."""

from __future__ import annotations

import shlex
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.source.access import Access
from trapline.source.tree import SourceError

_TOKENS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1)
_USERS = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)


def settings(access: Access, url: str) -> dict[str, str]:
    """The settings as git counts them."""
    environment = access.login(url).environment
    numbers = range(int(environment.get("GIT_CONFIG_COUNT", 0)))
    pairs = ((environment.get(f"GIT_CONFIG_{part}_{n}") for part in ("KEY", "VALUE")) for n in numbers)
    return {str(key): str(value) for key, value in pairs if key is not None}


def authorization(header: str) -> str:
    name, _, value = header.removeprefix("Authorization: ").partition(" ")
    assert name == "Basic"
    return b64decode(value).decode()


@given(token=_TOKENS, user=_USERS | st.just(""))
def test_a_token_is_for_its_host_alone_and_never_shown(token: str, user: str) -> None:
    access = Access(token=token)
    login = access.login(f"https://{user}{'@' if user else ''}git.example.org:8443/a/b.git")
    found = settings(access, f"https://{user}{'@' if user else ''}git.example.org:8443/a/b.git")
    header = found.pop("http.https://git.example.org:8443/.extraHeader")
    assert authorization(header) == f"{user or 'x-access-token'}:{token}"
    assert found == {"http.followRedirects": "false", "credential.helper": ""}
    assert login.url == "https://git.example.org:8443/a/b.git"
    assert repr(access) == repr(Access())
    assert repr(login) == "Login()"


def test_a_password_in_the_url_goes_the_same_way() -> None:
    login = Access().login("http://me:p%40ss@example.org/x")
    assert login.url == "http://example.org/x"
    found = settings(Access(), "http://me:p%40ss@example.org/x")
    assert authorization(found["http.http://example.org/.extraHeader"]) == "me:p@ss"


@pytest.mark.parametrize("url", ["https://example.org/x", "https://me@example.org/x", "git://example.org/x"])
def test_without_a_token_git_is_left_alone(url: str) -> None:
    assert Access().login(url).environment == {}
    assert Access().login(url).url == url


@pytest.mark.parametrize("url", ["/srv/x.git", "file:///srv/x.git", "git://example.org/x", "./a:b"])
def test_what_needs_no_access_gets_none(url: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    access = Access(token="t", token_file=missing, ssh_key=missing, known_hosts=missing)
    assert access.login(url).environment == {}


def test_settings_that_the_environment_has_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    environment = Access(token="t").login("https://example.org/x").environment
    assert environment["GIT_CONFIG_COUNT"] == "4"
    assert "GIT_CONFIG_KEY_0" not in environment


def test_a_token_file_is_read_anew_and_wins(tmp_path: Path) -> None:
    file = tmp_path / "token"
    access = Access(token="given", token_file=file)
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        header = settings(access, "https://example.org/x")["http.https://example.org/.extraHeader"]
        assert authorization(header) == f"x-access-token:{token}"


@pytest.mark.parametrize(
    ("content", "what"), [("", "is empty"), ("\n", "is empty"), ("a b", "has spaces"), ("a\nb", "line")]
)
def test_a_token_file_without_a_token(tmp_path: Path, content: str, what: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(SourceError, match=what) as caught:
        Access(token_file=file).login("https://example.org/x")
    assert caught.value.code == "no-access"
    assert "--git-token-file" in caught.value.remedy


@pytest.mark.parametrize(
    ("access", "url", "flag"),
    [
        (Access(token_file=Path("/missing")), "https://example.org/x", "--git-token-file"),
        (Access(ssh_key=Path("/missing")), "ssh://example.org/x", "--ssh-key"),
        (Access(ssh_key=Path("/")), "git@example.org:x", "--ssh-key"),
        (Access(known_hosts=Path("/missing")), "ssh://example.org/x", "--known-hosts"),
    ],
)
def test_files_that_cannot_be_read_name_their_flag(access: Access, url: str, flag: str) -> None:
    with pytest.raises(SourceError, match=r"cannot be read: (No such file|Is a directory)") as caught:
        access.login(url)
    assert caught.value.code == "no-access"
    assert flag in caught.value.remedy


@pytest.mark.parametrize("name", ["key", "my key", "50%h", 'a"b', "a'b", "a\\b", "$HOME", "-x", "#a"])
def test_ssh_takes_any_path(tmp_path: Path, name: str) -> None:
    """As ssh itself understands the command that git hands to a shell."""
    file = tmp_path / name
    file.touch()
    environment = Access(ssh_key=file, known_hosts=file).login("git@example.org:x.git").environment
    command = f"{environment['GIT_SSH_COMMAND']} -G example.org"
    shown = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout.splitlines()
    told = dict(line.partition(" ")[::2] for line in shown)
    assert told["batchmode"] == "yes"
    assert told["identitiesonly"] == "yes"
    assert told["stricthostkeychecking"] in ("yes", "true")
    assert told["globalknownhostsfile"] == "/dev/null"
    assert told["identityfile"].replace("%%", "%") == str(file)
    assert told["userknownhostsfile"].replace("%%", "%") == str(file)


def test_ssh_of_the_operator_is_kept_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "ssh://example.org/x"
    assert shlex.split(Access().login(url).environment["GIT_SSH_COMMAND"]) == ["ssh", "-o", "BatchMode=yes"]
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -F mine")
    assert Access().login(url).environment == {}
