"""`lib/`: what a detection imports of it becomes its own, and what it does not import does not concern it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.files import File
from trapline.deploy.digest import build_digest
from trapline.detection.load import Loaded, load
from trapline.detection.model import Detection
from trapline.errors import Problem, has_errors

CONFIG = b"name: one\ntables: [logs]\n"
DETECT = "def detect(record):\n    return True\n"


def repository(script: str, more: Mapping[str, str] = {}) -> dict[str, File]:
    """A detection with this script, and more files."""
    files = {"detections/one/detection.yml": CONFIG, "detections/one/detect.py": f"{script}\n{DETECT}".encode()}
    files |= {path: text.encode() for path, text in more.items()}
    return {path: File(content=content) for path, content in files.items()}


def shared(files: Mapping[str, File]) -> set[str]:
    loaded = load(files)
    assert not has_errors(loaded.problems), loaded.problems
    [detection] = loaded.detections
    return {name for name in detection.files if name.startswith("lib/")}


def only(loaded: Loaded) -> Problem:
    problems = [problem for problem in loaded.problems if problem.code != "unused-import"]
    assert len(problems) == 1, problems
    return problems[0]


LIB = {
    "lib/__init__.py": "VERSION = 1",
    "lib/networks.py": "from lib import words\nHOME = '10.0.0.0/8'",
    "lib/words.py": "",
    "lib/aws/__init__.py": "from .roles import is_service",
    "lib/aws/roles.py": "from ..words import nothing",
    "lib/aws/unused.py": "",
}
ROOT = "lib/__init__.py"
AWS = {ROOT, "lib/aws/__init__.py", "lib/aws/roles.py", "lib/words.py"}


@pytest.mark.parametrize(
    ("script", "brought"),
    [
        ("", set()),
        ("import libcst", set()),
        ("import lib", set()),  # without a module of it there is nothing to use
        ("import lib.words", {ROOT, "lib/words.py"}),
        ("import lib.words as w, os", {ROOT, "lib/words.py"}),
        ("from lib import VERSION", {ROOT}),
        ("from lib import *", {ROOT}),
        ("from lib import words, VERSION", {ROOT, "lib/words.py"}),
        ("from lib.networks import HOME", {ROOT, "lib/networks.py", "lib/words.py"}),
        ("from lib.aws import is_service", AWS),
        ("from lib.aws.roles import x", AWS),
        ("def title(record):\n    from lib import words\n    return 'x'", {ROOT, "lib/words.py"}),
        ("try:\n    import lib.gone\nexcept ImportError:\n    pass", set()),
        ("from . import words", set()),  # a script is in no package
    ],
)
def test_a_detection_has_what_it_imports_directly_or_through_others(script: str, brought: set[str]) -> None:
    assert shared(repository(script, LIB)) == brought


def test_a_helper_of_the_detection_may_import_it_too() -> None:
    files = repository("import helper", LIB | {"detections/one/helper.py": "from lib.words import x"})
    assert shared(files) == {ROOT, "lib/words.py"}


def test_it_needs_no_init_file() -> None:
    assert shared(repository("from lib.words import x", {"lib/words.py": "x = 1"})) == {"lib/words.py"}


def test_data_beside_a_module_comes_with_it() -> None:
    files = repository("import lib.geo.country", {"lib/geo/country.py": "", "lib/words.py": ""})
    files |= {name: File(content=b"x") for name in ("lib/geo/list.txt", "lib/geo/README.md", "lib/other.txt")}
    assert shared(files) == {"lib/geo/country.py", "lib/geo/list.txt"}


def test_modules_that_import_each_other() -> None:
    files = repository("import lib.a", {"lib/a.py": "import lib.b", "lib/b.py": "import lib.a"})
    assert shared(files) == {"lib/a.py", "lib/b.py"}


def test_its_change_is_a_change_of_those_that_import_it_and_of_no_other() -> None:
    def digest(script: str, text: str) -> str:
        [detection] = load(repository(script, {"lib/words.py": text})).detections
        return build_digest(detection, lock="", platform="here")

    assert digest("import lib.words", "x = 1") != digest("import lib.words", "x = 2")
    assert digest("import os", "x = 1") == digest("import os", "x = 2")


def test_a_module_that_is_not_there_is_said_where_it_is_imported() -> None:
    problem = only(load(repository("\nfrom lib.network import HOME", {"lib/networks.py": "HOME = 1"})))
    assert (problem.path, problem.line, problem.column, problem.code) == (
        "detections/one/detect.py",
        2,
        1,
        "no-such-module",
    )
    assert problem.message == "there is no lib/network.py in the repository"
    assert "lib.networks" in problem.remedy


def test_a_module_that_a_shared_one_lacks_is_said_there() -> None:
    problem = only(load(repository("import lib.a", {"lib/a.py": "x = 1\nimport lib.gone"})))
    assert (problem.path, problem.line, problem.code) == ("lib/a.py", 2, "no-such-module")


def test_a_repository_without_one_leaves_the_name_to_requirements() -> None:
    files = repository("from lib import x")
    assert only(load(files)).code == "no-such-module"
    assert shared(files | {"detections/one/requirements.txt": File(content=b"lib\n")}) == set()


def test_a_broken_module_breaks_those_that_import_it_and_is_said_once() -> None:
    files = repository("import lib.bad", {"lib/bad.py": "def"})
    files |= {
        "detections/two/detection.yml": File(content=b"name: two\ntables: [logs]\n"),
        "detections/two/detect.py": files["detections/one/detect.py"],
        "detections/three/detection.yml": File(content=b"name: three\ntables: [logs]\n"),
        "detections/three/detect.py": File(content=DETECT.encode()),
    }
    loaded = load(files)
    assert [detection.name for detection in loaded.detections] == ["three"]
    assert set(loaded.broken) == {"detections/one", "detections/two"}
    assert (only(loaded).path, only(loaded).line, only(loaded).code) == ("lib/bad.py", 1, "python-syntax")


def test_a_module_that_could_not_be_read() -> None:
    files = repository("import lib.link") | {"lib/link.py": File(content=b"", absent="is a symbolic link")}
    assert (only(load(files)).path, only(load(files)).code) == ("lib/link.py", "file-not-read")


def test_a_lib_of_ones_own_is_the_one_that_is_imported() -> None:
    files = repository("import lib.mine", {"detections/one/lib/mine.py": "", "lib/words.py": ""})
    problem = only(load(files))
    assert (problem.severity, problem.code, problem.path) == ("warning", "own-lib", "detections/one/lib")
    [detection] = load(files).detections
    assert {name for name in detection.files if "lib" in name} == {"lib/mine.py"}


@given(st.text("import from lib.as*()\n\t ,x=\"'", max_size=60))
def test_no_script_makes_it_raise(script: str) -> None:
    detections: tuple[Detection, ...] = load(repository(script, LIB)).detections
    assert len(detections) <= 1
