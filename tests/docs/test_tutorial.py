"""The tutorial is followed to the letter: its files are written, its commands run, and an alert arrives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import git

from tests.docs.test_docs import ROOT, Found, blocks
from tests.stranger import Workplace
from trapline_plugins.fake_server import Answer, FakeServer, serving

PAGE = ROOT / "docs/tutorial/write-a-destination.md"
EXAMPLE = ROOT / "examples/trapline-teams"
SECRET = "s1gnature"


def follow(block: Found, place: Workplace, workflow: FakeServer) -> str:
    """Does what a block tells a reader to do, and returns what a command said."""
    match block.language:
        case "sh":
            return place.run(block.text, TEAMS_URL=f"{workflow.url}workflows/1/invoke?sig={SECRET}")
        case "python":
            head, _, text = block.text.partition("\n")
            (place.folder / "trapline-teams" / head.removeprefix("# ")).write_text(text)
        case "yaml":
            commit(place.folder / "detections", block.text)
        case other:
            raise AssertionError(f"{block}: nobody can follow a block of {other!r}")
    return ""


def commit(folder: Path, settings: str) -> None:
    """The reader's repository, with this trapline.yml."""
    repository = git.Repo.init(folder, initial_branch="main")
    (folder / "trapline.yml").write_text(settings)
    repository.git.add(all=True)
    repository.git.execute(["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", "Name soc"])


def project(folder: Path) -> dict[str, str]:
    """The files of a project that somebody wrote."""
    paths = [folder / "pyproject.toml", *folder.glob("src/**/*.py"), *folder.glob("src/**/py.typed")]
    paths += folder.glob("tests/*.py")
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_the_tutorial_leads_to_an_alert_that_arrives(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    with serving(lambda _: Answer(202)) as workflow:
        said = [follow(block, place, workflow) for block in blocks(PAGE)]
    assert project(place.folder / "trapline-teams") == project(EXAMPLE)
    cards = [json.loads(request.body)["attachments"][0]["content"]["body"][0] for request in workflow.requests]
    titles = [card["items"][0]["inlines"][0]["text"] for card in cards]
    assert [re.sub(r"^(\w+: \[TEST\]).*", r"\1", title) for title in titles] == ["INFO: [TEST]", "RESOLVED: [TEST]"]
    assert sum(" passed" in one for one in said) == 2
    assert "teams" in said[1]
    assert not any(SECRET in one for one in said)


def test_what_the_tutorial_says_of_breaking_it_is_so(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    for path, text in project(EXAMPLE).items():
        file = place.folder / "trapline-teams" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    card, init = (place.folder / "trapline-teams/src/trapline_teams" / name for name in ("card.py", "__init__.py"))
    for file, whole, broken, found in (
        (init, "return outcome_of_error(error)", "return Delivered()", "test_nobody_there_is_retried"),
        (card, "headline = _line(", 'headline = {"type": "TextBlock", "text": notification.title} or (', "markdown"),
    ):
        text = file.read_text()
        assert whole in text
        file.write_text(text.replace(whole, broken))
        said = place.run("pytest -q trapline-teams", code=1, PYTHONPATH=str(init.parent.parent))
        assert re.search(rf"FAILED .*{found}", said), said
        file.write_text(text)
