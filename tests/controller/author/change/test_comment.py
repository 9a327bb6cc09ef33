"""`trapline comment`: one comment for each report, on either forge, and no word of it where that is not allowed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.forge import TOKEN, Forge, forge
from trapline.cli import cli
from trapline.errors import TraplineError

FIRST, OTHER = "<!-- trapline diff: . -->\n\nfirst\n", "<!-- trapline diff: security -->\n\nother\n"
Comment = Callable[..., str]
_OF_A_CI = ("CI_MERGE_REQUEST_IID", "GITHUB_EVENT_PATH", "GITHUB_TOKEN", "GITLAB_TOKEN")


@pytest.fixture
def there() -> Iterator[Forge]:
    with forge() as there:
        yield there


@pytest.fixture(params=["github", "gitlab"])
def comment(request: pytest.FixtureRequest, there: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comment:
    """Runs it as a job for a pull request would."""
    for name in _OF_A_CI:
        monkeypatch.delenv(name, raising=False)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    github = {
        "GITHUB_EVENT_PATH": event,
        "GITHUB_API_URL": there.url,
        "GITHUB_REPOSITORY": "acme/detections",
        "GITHUB_TOKEN": TOKEN,
    }
    gitlab = {
        "CI_MERGE_REQUEST_IID": 7,
        "CI_API_V4_URL": there.url,
        "CI_PROJECT_ID": 42,
        "GITLAB_TOKEN": TOKEN,
    }
    for name, value in (github if request.param == "github" else gitlab).items():
        monkeypatch.setenv(name, str(value))

    def run(report: str) -> str:
        return CliRunner().invoke(cli, ["comment", "-"], input=report, catch_exceptions=False).stdout

    return run


def test_a_later_report_takes_the_place_of_the_one_before(there: Forge, comment: Comment) -> None:
    there.comments[1] = "Looks good to me: <!-- trapline diff: . -->"
    assert comment(FIRST) == "the comment is added\n"
    assert comment(OTHER) == "the comment is added\n"
    assert comment(FIRST.replace("first", "second")) == "the comment is updated\n"
    assert list(there.comments.values())[1:] == [FIRST.replace("first", "second"), OTHER]


def test_a_report_is_never_put_into_the_comment_of_a_stranger(there: Forge, comment: Comment) -> None:
    there.comments[1] = FIRST
    there.strangers = {1}
    assert comment(FIRST.replace("first", "ours")) == "the comment is added\n"
    assert comment(FIRST.replace("first", "later")) == "the comment is updated\n"
    assert there.comments == {1: FIRST, 2: FIRST.replace("first", "later")}


def test_it_is_found_among_many(there: Forge, comment: Comment) -> None:
    there.comments |= dict.fromkeys(range(1, 250), "talk") | {250: FIRST}
    assert comment(FIRST) == "the comment is updated\n"
    assert len(there.comments) == 250


def test_a_token_that_may_not_write(there: Forge, comment: Comment) -> None:
    there.may_write = False
    with pytest.raises(TraplineError) as caught:
        comment(FIRST)
    assert caught.value.message.startswith("the comment was refused with 403: ")
    assert "pull-requests: write" in caught.value.remedy or "scope `api`" in caught.value.remedy
    assert TOKEN not in str(caught.value)


def test_a_token_that_is_wrong_or_missing(there: Forge, comment: Comment, monkeypatch: pytest.MonkeyPatch) -> None:
    for token, said in (("wrong", "refused with 401"), ("", "holds no token"), ("a\nb", "holds no token")):
        monkeypatch.setenv("GITHUB_TOKEN", token)
        monkeypatch.setenv("GITLAB_TOKEN", token)
        with pytest.raises(TraplineError, match=said):
            comment(FIRST)
    assert there.comments == {}


def test_only_a_report_is_put_there(comment: Comment) -> None:
    with pytest.raises(TraplineError, match="this is no report"):
        comment("hello\n")


def test_an_api_that_is_not_there(comment: Comment, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("http://127.0.0.1:9", "", "http://[broken"):
        monkeypatch.setenv("GITHUB_API_URL", address)
        monkeypatch.setenv("CI_API_V4_URL", address)
        with pytest.raises(TraplineError, match="the comment could not be made"):
            comment(FIRST)


def test_where_there_is_no_pull_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _OF_A_CI:
        monkeypatch.delenv(name, raising=False)
    runner = CliRunner()
    with pytest.raises(TraplineError, match="there is no pull request to comment on"):
        runner.invoke(cli, ["comment", "-"], input=FIRST, catch_exceptions=False)
    (tmp_path / "event.json").write_text('{"push": 1}')
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    with pytest.raises(TraplineError, match="runs for no pull request"):
        runner.invoke(cli, ["comment", "-"], input=FIRST, catch_exceptions=False)
