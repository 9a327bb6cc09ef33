"""Where a change began: found by git, read without a checkout, and each way in which it cannot be is told."""

from __future__ import annotations

from pathlib import Path

import git
import pytest

from tests.playground import Playground
from trapline.author.change.base import base_of
from trapline.author.checkout import Checkout
from trapline.errors import TraplineError


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    """Two commits on main, and a branch `change` from the first that is checked out."""
    ground = Playground(tmp_path)
    ground.detection("one")
    ground.commit()
    repository = git.Repo(ground.repository)
    repository.git.checkout("-qb", "change")
    repository.git.checkout("-q", "main")
    ground.detection("two")
    ground.commit("Somebody else's")
    repository.git.checkout("-q", "change")
    ground.detection("three")
    ground.commit("Mine")
    return ground


def refused(path: Path, revision: str = "main") -> TraplineError:
    with pytest.raises(TraplineError) as caught:
        base_of(Checkout.around(path), revision)
    return caught.value


def test_what_others_merged_meanwhile_is_no_part_of_the_change(ground: Playground) -> None:
    base = base_of(Checkout.around(ground.repository), "main")
    assert base.commit == git.Repo(ground.repository).commit("main~1").hexsha
    assert {path.split("/")[1] for path in base.tree.files if path.startswith("detections/")} == {"one"}


def test_it_is_read_as_the_checkout_is(ground: Playground) -> None:
    ground.write("detections/one/.notes/draft.py", "x")
    ground.write("detections/one/__pycache__/detect.pyc", "x")
    ground.write("detections/one/run.sh", "true")
    (ground.repository / "detections/one/run.sh").chmod(0o755)
    ground.commit()
    checkout = Checkout.around(ground.repository)
    assert base_of(checkout, "HEAD").tree.files == checkout.tree.files


def test_the_root_may_be_a_folder_of_the_repository(ground: Playground) -> None:
    for name in ("trapline.yml", "detections/four/detect.py"):
        ground.write(f"security/{name}", "# here\n")
    ground.commit()
    (ground.repository / "security/other").mkdir()
    checkout = Checkout.around(ground.repository / "security")
    assert base_of(checkout, "HEAD").tree.files == checkout.tree.files
    assert base_of(checkout, "main").tree.files == {}


def test_no_repository(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert error.message == f"{tmp_path} is in no git repository, so that nothing can be compared"
    assert "clone" in error.remedy


def test_no_commit_yet(tmp_path: Path) -> None:
    git.Repo.init(tmp_path)
    assert refused(tmp_path).message == "there is no revision main here"
    assert refused(tmp_path, "HEAD").message == "there is no revision HEAD here"


@pytest.mark.parametrize(
    ("revision", "said", "remedy"),
    [
        (
            "origin/main",
            "there is no revision origin/main here",
            "did you fetch it? `git fetch origin main`; else name another with --base",
        ),
        ("nowhere", "there is no revision nowhere here", "name another with --base"),
        ("--upload-pack=x", "is no name of a branch, tag or commit", "correct the ref"),
    ],
)
def test_an_unknown_revision(ground: Playground, revision: str, said: str, remedy: str) -> None:
    error = refused(ground.repository, revision)
    assert said in error.message
    assert error.remedy == remedy


def test_histories_with_nothing_in_common(ground: Playground) -> None:
    git.Repo(ground.repository).git.checkout("-q", "--orphan", "other")
    ground.commit()
    assert refused(ground.repository).message == "HEAD and main have no commit in common"


def test_a_clone_that_is_too_shallow(ground: Playground, tmp_path: Path) -> None:
    there = tmp_path / "clone"
    url = f"file://{ground.repository}"
    git.Repo.clone_from(url, there, depth=1, no_single_branch=True, branch="change")
    error = refused(there, "origin/main")
    assert error.message == "this clone is too shallow to find where HEAD left origin/main"
    assert "fetch-depth: 0" in error.remedy
    git.Repo(there).git.fetch("--unshallow", "-q")
    assert base_of(Checkout.around(there), "origin/main").tree.files
