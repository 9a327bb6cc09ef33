"""A sub-directory as the root."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.files import File
from trapline.source.tree import SourceError, Tree, clean_root, tree_of

_ABSENT = File(content=b"", absent="is a symbolic link, and links are not followed")
_PARTS = st.text(st.sampled_from("ab'\". "), min_size=1, max_size=3).filter(lambda part: part not in (".", ".."))
_PATHS = st.lists(_PARTS, min_size=1, max_size=3).map("/".join)


def tree(*paths: str, skipped: tuple[str, ...] = ()) -> Tree:
    return tree_of("a" * 40, {path: File(content=path.encode()) for path in paths}, skipped)


@pytest.mark.parametrize("root", ["", ".", "./", "/."[1:]])
def test_the_whole_tree(root: str) -> None:
    whole = tree("a/b", "c")
    assert whole.beneath(root) is whole


@pytest.mark.parametrize("root", ["sec/det", "sec/det/", "./sec//det/."])
def test_paths_are_from_the_folder(root: str) -> None:
    files = {
        "sec/det/a/x": File(content=b"1"),
        "sec/det/link": _ABSENT,
        "sec/detective/y": _ABSENT,
        "sec/det2": _ABSENT,
    }
    others = ("sec/det/sub: is a submodule, and submodules are not followed", "other: is a submodule")
    quoted = ("'sec/det/new\\nline': has a name that is not safe to use", '"sec/det/it\'s\\n": has a name')
    narrowed = tree_of("a" * 40, files, others + quoted).beneath(root)
    assert narrowed.revision == "a" * 40
    assert narrowed.files == {"a/x": File(content=b"1"), "link": _ABSENT}
    assert set(narrowed.skipped) == {
        "link: is a symbolic link, and links are not followed",
        "sub: is a submodule, and submodules are not followed",
        "'new\\nline': has a name that is not safe to use",
        '"it\'s\\n": has a name',
    }


@pytest.mark.parametrize("root", ["..", "a/../..", "/", "/etc", "a/.."])
def test_a_root_that_leads_out(root: str) -> None:
    with pytest.raises(SourceError, match=r"leads out of the repository .*--root") as caught:
        tree("a/b").beneath(root)
    assert caught.value.code == "no-such-root"


@pytest.mark.parametrize(
    ("root", "known"),
    [
        ("detection", "use one of: detections, docs"),
        ("detections/c", "use one of: detections/a, detections/b"),
        ("nothing/at/all", "use one of: detections, docs"),
        ("detections/a/x", "there are no folders in detections/a"),
        ("README", "use one of: detections, docs"),
    ],
)
def test_a_root_that_is_not_there_names_those_that_are(root: str, known: str) -> None:
    with pytest.raises(SourceError) as caught:
        tree("detections/a/x", "detections/b/x", "docs/y", "README").beneath(root)
    assert caught.value.code == "no-such-root"
    assert str(caught.value) == f"revision aaaaaaaaaaaa has no folder {root} (correct --root; {known})"


@given(st.sets(_PATHS, min_size=1), _PATHS)
def test_nothing_is_lost_and_nothing_is_added(paths: set[str], root: str) -> None:
    inside = {path for path in paths if path.startswith(f"{clean_root(root)}/")}
    whole = tree(*paths)
    if not inside:
        with pytest.raises(SourceError):
            whole.beneath(root)
        return
    narrowed = whole.beneath(root)
    assert {f"{clean_root(root)}/{path}": file for path, file in narrowed.files.items()} == {
        path: whole.files[path] for path in inside
    }
