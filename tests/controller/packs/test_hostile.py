"""Packs whose authors mean harm: each is refused with a reason, alone, and leaves nothing outside of the home."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.packed import Both, Entry, Folder, link, live, plant, said, submodule, write_blob, write_object, write_tree
from tests.playground import MATCH_BAD, Playground, actions
from trapline.config.files import File
from trapline.controller import Controller
from trapline.deploy.reconcile import Report
from trapline.detection.load import Loaded, load
from trapline.state.schema import alerts, failures

CONFIG = b"name: evil\nenabled: true\ntables: [logs]\n"
SCRIPT = MATCH_BAD.encode()
PLAIN = {b"detection.yml": CONFIG, b"detect.py": SCRIPT}
MEGABYTE = 2**20


class Village(Both):
    """The repository, the hostile pack `acme`, and the harmless pack `good`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.good = Playground(root / "good")
        self.good.detection("fine")
        self.root = root
        entry = {"source": str(self.good.repository), "revision": self.good.commit(), "enable": ["fine"]}
        self.others = {"good": entry}

    def uses(self, *enable: str, **pack: Any) -> None:
        self.use(*enable, others=self.others, sandbox={"ceiling": {"memory": "1GiB", "record_timeout": "5s"}}, **pack)

    def plant(self, folder: Folder) -> None:
        """Makes this all that the hostile pack has."""
        self.pin = plant(self.theirs.repository, folder)

    def outside(self) -> dict[Path, int]:
        """What is on the disk but for the homes, with the sizes."""
        homes = {self.own.home, self.theirs.home, self.good.home}
        return {
            path / name: (path / name).lstat().st_size
            for folder, _, names in os.walk(self.root)
            if not homes & {path := Path(folder), *path.parents}
            for name in names
        }


@pytest.fixture
def village(tmp_path: Path) -> Village:
    return Village(tmp_path)


@pytest.fixture
def controller(village: Village) -> Iterator[Controller]:
    with village.own.controller() as controller:
        yield controller


def reconciled(village: Village, controller: Controller, *enable: str, **pack: Any) -> Report:
    """What a reconcile says with the pack enabled; whatever it does to the pack, all else is as it should be."""
    village.uses(*enable, **pack)
    before = village.outside()
    report = controller.reconcile()
    assert village.outside() == before
    assert actions(report).items() >= {"mine": "deployed", "good/fine": "deployed"}.items()
    assert "failed in Trapline itself" not in str(report)
    return report


def in_a_folder(**files: bytes | Entry | Folder) -> Folder:
    """A pack of one detection with these files beside, or instead of, its own. `_` is a dot."""
    inside = {
        "detection.yml": CONFIG,
        "detect.py": SCRIPT,
        **{key.replace("_", "."): one for key, one in files.items()},
    }
    return {b"detections": {b"evil": {name.encode(): one for name, one in inside.items()}}}


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (in_a_folder(detect_py=link("/etc/passwd")), "evil/detect.py: error: detect.py is a symbolic link"),
        (in_a_folder(detection_yml=link("../../../../own.yml")), "detection.yml is a symbolic link"),
        (in_a_folder(list_txt=link("/proc/self/environ")), "evil/list.txt: error: list.txt is a symbolic link"),
        (in_a_folder(requirements_txt=link("/etc/passwd")), "requirements.txt is a symbolic"),
        ({b"detections": {b"evil": link("/etc")}}, "the pack has no detection `evil`"),
        ({b"detections": link("/etc")}, "the pack has no detection `evil`"),
        ({b"detections": b"a file"}, "the pack has no detection `evil`"),
        ({b"detections": {b"evil": submodule("1" * 40)}}, "the pack has no detection `evil`"),
        ({**in_a_folder(detect_py=b"from lib.own import A\n" + SCRIPT), b"lib": link("/")}, "there is no lib/own.py"),
        (
            {**in_a_folder(detect_py=b"from lib.own import A\n" + SCRIPT), b"lib": {b"own.py": link("/etc/passwd")}},
            "lib/own.py: error: lib/own.py is a symbolic link",
        ),
        ({b"detections": {b"..": {b"evil": PLAIN}}}, "no detection `evil`"),
        ({b"detections": {b".git": {b"evil": PLAIN}}}, "no detection `evil`"),
        ({b"detections": {b".GIT": {b"evil": PLAIN}}}, "no detection `evil`"),
        ({b"detections/../../evil": PLAIN}, "no detection `evil`"),
        ({b"/detections": {b"evil": PLAIN}}, "no detection `evil`"),
        ({b"detections": {b"e\x1b[2J": PLAIN}}, "no detection `evil`"),
        ({b"detections": {b"e\nvil": PLAIN}}, "no detection `evil`"),
        (in_a_folder(detect_py=b"#" * (MEGABYTE + 1)), "detect.py is 1,048,577 bytes long, and 1,048,576 are the most"),
    ],
)  # fmt: skip
def test_what_a_tree_may_not_have(village: Village, controller: Controller, folder: Folder, words: str) -> None:
    village.plant(folder)
    assert words in said(reconciled(village, controller, "evil"))
    assert live(controller) == {"mine", "good/fine"}


def test_names_lead_nowhere(village: Village, controller: Controller) -> None:
    """A file with a name that is not safe to use is not there; any other is a file in its detection's folder."""
    names = [b"..", b"../up", b"/etc/cron.d/evil", b"/", b".git", b"a\\..\\b", b"\x1b[31m", b"new\nline", b"\xff\xfe"]
    names += [b"-rf", b"~", b"n" * 10_000, b"/".join([b"d" * 200] * 40)]
    configs = [CONFIG.replace(b"evil", b"evil%d" % number) for number in range(len(names))]
    folders = [
        {b"detection.yml": config, b"detect.py": SCRIPT, name: b"import os\n"}
        for name, config in zip(names, configs, strict=True)
    ]
    village.plant({b"detections": {b"%d" % number: folder for number, folder in enumerate(folders)}})
    reconciled(village, controller, "all")
    assert live(controller) == {"mine", "good/fine", *(f"acme/evil{number}" for number in range(len(names)))}


def test_names_that_differ_in_their_case_alone(village: Village, controller: Controller) -> None:
    village.plant(in_a_folder(Detect_py=b"raise SystemExit", DETECT_PY=b"raise SystemExit"))
    reconciled(village, controller, "evil")
    assert "acme/evil" in live(controller)


def test_one_name_twice(village: Village, controller: Controller) -> None:
    repository = village.theirs.repository
    blobs = [write_blob(repository, content) for content in (CONFIG, SCRIPT, SCRIPT + b"  # again")]
    raw = b"".join(
        b"100644 " + name + b"\0" + bytes.fromhex(blob)
        for name, blob in zip((b"detection.yml", b"detect.py", b"detect.py"), blobs, strict=True)
    )
    tree = write_object(repository, "tree", raw)
    village.plant({b"detections": {b"evil": Entry("40000", tree)}})
    reconciled(village, controller, "evil")
    assert "acme/evil" in live(controller)


def test_a_file_that_grows_when_it_is_unpacked(village: Village, controller: Controller, tmp_path: Path) -> None:
    huge = tmp_path / "zeros"
    with huge.open("wb") as file:
        file.truncate(256 * MEGABYTE)
    command = ["git", "-c", "core.bigFileThreshold=1m", "hash-object", "-w", str(huge)]
    oid = subprocess.run(command, cwd=village.theirs.repository, capture_output=True, text=True, check=True).stdout
    huge.unlink()
    village.plant(in_a_folder(data_bin=Entry("100644", oid.strip())))
    assert "data.bin is 268,435,456 bytes long" in said(reconciled(village, controller, "evil"))


def test_more_files_than_anybody_writes(village: Village, controller: Controller) -> None:
    blob = write_blob(village.theirs.repository, SCRIPT)
    village.plant({b"detections": {f"{n}.py".encode(): Entry("100644", blob) for n in range(100_000)}})
    report = reconciled(village, controller, "evil")
    assert "trapline.yml:" in said(report)
    assert "has more than 50,000 files" in said(report)


def test_trees_that_name_each_other(village: Village, controller: Controller) -> None:
    repository = village.theirs.repository
    tree = write_tree(repository, {b"file": b""})
    for _ in range(12):
        tree = write_tree(repository, {f"{n}".encode(): Entry("40000", tree) for n in range(12)})
    village.plant({b"detections": Entry("40000", tree)})
    assert "has more than 50,000 files" in said(reconciled(village, controller, "evil"))


def test_blobs_that_are_too_much_together(village: Village, controller: Controller) -> None:
    blob = write_blob(village.theirs.repository, b"#" * MEGABYTE)
    village.plant({b"detections": {f"{n}.py".encode(): Entry("100644", blob) for n in range(257)}})
    assert "bytes together, and 268,435,456 are the most" in said(reconciled(village, controller, "evil"))


CONFIGS = {
    "name: other_pack/x": "a name is 1 to 128 letters",
    "name: good/fine": "a name is 1 to 128 letters",
    "name: mine\nid: ../mine": "an id is 1 to 128 printable characters",
    "name: mine\nid: good/fine": "an id is 1 to 128 printable characters",
    "name: trapline": "is kept for the alerts about Trapline itself",
    "name: m\u0456ne": "a name is 1 to 128 letters",
    "name: mine\u200b": "a name is 1 to 128 letters",
    'name: "evil\\e[2J"': "a name is 1 to 128 letters",
    f"name: {'evil' * 1000}": "a name is 1 to 128 letters",
    "name: !!python/object/apply:os.system [id]": "could not determine a constructor",
    "name: evil0\ntags: !!python/object/new:os.system [id]": "could not determine a constructor",
    "name: evil1\nname: mine": "`name`",
    "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise("abcdefghi")): "more than 100,000",
    "name: evil2\nnested: " + "[" * 5_000 + "]" * 5_000: "nested more than 64 levels deep",
    "name: evil3\n---\nname: mine": "a second document begins here",
    "name: evil4\nlimits: {memory: 4096GiB}": "above the ceiling",
    "name: evil5\nlimits: {record_timeout: 1h}": "above the ceiling",
    "name: evil6\nquery: {where: 'a = 1; DROP TABLE logs'}": "more than one statement",
    "name: evil7\nquery: {where: 'TRUE) OR (TRUE'}": "`where` is not valid SQL",
    "name: evil8\nquery: {where: 'TRUE) -- '}": "`where` is not valid SQL",
    "name: evil9\nquery: {where: 'a = (SELECT x FROM secrets)'}": "`where` holds a subquery",
    "name: evil10\nquery: {where: '1 IN (SELECT * FROM read_csv(''/etc/passwd''))'}": "`where` holds a subquery",
    "\0" * 10: "is not allowed in YAML",
    "x" * MEGABYTE: "1,048,576 are the most",
    "tables: [nothing]\nname: evil11": "there is no table `nothing`",
}


def test_more_code_than_anybody_writes(village: Village, controller: Controller) -> None:
    """Each of these files takes seconds to look through."""
    blob = write_blob(village.theirs.repository, b"a = b\n" * 170_000)
    village.plant({**in_a_folder(), b"lib": {b"%d.py" % number: Entry("100644", blob) for number in range(17)}})
    report = reconciled(village, controller, "evil")
    assert "bytes of code and configs, and 16,777,216 are the most" in said(report)
    assert live(controller) == {"mine", "good/fine"}


def test_more_modules_than_anybody_shares(village: Village, controller: Controller) -> None:
    """Each of many detections may import each of them."""
    blob = write_blob(village.theirs.repository, b"A = 1\n")
    village.plant({**in_a_folder(), b"lib": {b"%d.py" % number: Entry("100644", blob) for number in range(9_999)}})
    report = reconciled(village, controller, "evil")
    assert "the pack has 10,001 files in detections/ and lib/, and 10,000 are the most" in said(report)


def test_what_a_config_may_not_say(village: Village, controller: Controller) -> None:
    texts = [text if text.startswith("tables") else f"{text}\ntables: [logs]\n" for text in CONFIGS]
    folders = [{b"detection.yml": text.encode(), b"detect.py": SCRIPT} for text in texts]
    village.plant({b"detections": {b"%d" % number: folder for number, folder in enumerate(folders)}})
    report = reconciled(village, controller, "all")
    assert live(controller) == {"mine", "good/fine"}
    assert all(name.startswith("acme/") for name in actions(report).keys() - {"mine", "good/fine"})
    for number, words in enumerate(CONFIGS.values()):
        told = [str(one) for one in report.problems if one.path == f"packs/acme/detections/{number}/detection.yml"]
        assert words in "\n".join(told)
    assert "\x1b" not in said(report)


def test_what_requirements_may_not_ask_for(village: Village, controller: Controller) -> None:
    lines = ["--index-url https://evil.example/simple", "--find-links /etc", "-r /etc/passwd", "-e .", "./evil.whl"]
    lines += [
        "evil @ https://evil.example/evil.whl",
        "evil @ file:///etc/evil.whl",
        "git+https://evil.example/evil.git",
    ]
    lines += ["../../repository", "a\\\n--index-url https://evil.example", "a --global-option=x", "${HOME}"]
    names = ["requirements.txt", "requirements.lock"]
    files = [(name, line) for name in names for line in lines]
    village.plant(
        {
            b"detections": {
                b"%d" % number: {
                    b"detection.yml": CONFIG.replace(b"evil", b"evil%d" % number),
                    b"detect.py": SCRIPT,
                    b"requirements.txt": b"six==1.17.0\n",
                    name.encode(): f"{line}\n".encode(),
                }
                for number, (name, line) in enumerate(files)
            }
        }
    )
    report = reconciled(village, controller, "all")
    assert live(controller) == {"mine", "good/fine"}
    for number, (name, _) in enumerate(files):
        assert f"packs/acme/detections/{number}/{name}:" in said(report)


def test_what_is_the_users_to_decide(village: Village, controller: Controller) -> None:
    """Where alerts go, from when on it looks, and whether code of strangers is run for a build."""
    config = CONFIG + b"allow_source_builds: true\nschedule: {start: 2020-01-01}\nalert: {destinations: [pager]}\n"
    script = SCRIPT + b"\n\n\ndef destinations(record):\n    return []\n"
    village.plant(in_a_folder(detection_yml=config, detect_py=script))
    assert not reconciled(village, controller, "evil").problems
    village.own.records(-60, 1)
    village.own.at(10)
    controller.tick()
    [alert] = [row for row in village.own.rows(alerts) if row["detection"] == "acme/evil"]
    assert (alert["match_count"], alert["destinations"]) == (1, ["terminal"])


def test_a_condition_cannot_undo_what_its_user_decided(village: Village, controller: Controller) -> None:
    config = CONFIG + b"query: {where: 'TRUE) OR (TRUE'}\n"
    village.plant(in_a_folder(detection_yml=config))
    report = reconciled(village, controller, "evil", overrides={"evil": {"exclude": "host = 'mine'"}})
    assert "evil/detection.yml:4" in said(report)
    assert live(controller) == {"mine", "good/fine"}


def test_files_of_its_own_use_of_trapline_are_not_read(village: Village, controller: Controller) -> None:
    village.plant(
        {
            **in_a_folder(),
            b"trapline.yml": b"tables: {logs: {path: /etc}}\ndestinations: {terminal: {type: webhook, url: 'http://x'}}\n",
            b"suppressions.yml": b"suppressions: [{detection: '*', reason: hush, where: 'TRUE'}]\n",
            b"pack.yml": b"name: *bomb\n\t!!python/object:os.system {}",
        }
    )
    report = reconciled(village, controller, "evil")
    assert not report.problems
    village.own.records(1)
    village.own.at(10)
    controller.tick()
    assert {row["detection"] for row in village.own.rows(alerts)} == {"mine", "good/fine", "acme/evil"}


@pytest.mark.parametrize("sandbox", ["process", pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)])
def test_its_rules_see_nothing_of_their_users(village: Village, request: pytest.FixtureRequest, sandbox: str) -> None:
    """Only the process backend, which says so, lets them."""
    if sandbox == "bubblewrap":
        request.getfixturevalue("bubblewrap")
    secret = village.own.repository / "trapline.yml"
    script = f"def detect(record):\n    return 'tables' in open({str(secret)!r}).read()\n"
    village.plant(in_a_folder(detect_py=script.encode()))
    village.uses("evil")
    with village.own.controller(sandbox=sandbox) as controller:
        controller.reconcile()
        assert live(controller) == {"mine", "good/fine", "acme/evil"}
        village.own.records(1)
        village.own.at(10)
        controller.tick()
    found = {row["detection"] for row in village.own.rows(alerts)}
    assert found - {"acme/evil"} == {"mine", "good/fine"}
    assert ("acme/evil" in found) is (sandbox == "process")
    assert [row["error"] for row in village.own.rows(failures)] == (
        [] if sandbox == "process" else [f"FileNotFoundError: [Errno 2] No such file or directory: {str(secret)!r}"]
    )


def test_a_mistake_of_ours_that_it_found_holds_up_nobody(
    village: Village, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    village.plant(in_a_folder())
    reconciled(village, controller, "evil")
    before = village.pin
    village.plant(in_a_folder(detect_py=SCRIPT + b"  # the one that does it"))

    def fails(files: Mapping[str, File]) -> Loaded:
        if any(b"the one that does it" in file.content for file in files.values()):
            raise RecursionError("too deep")
        return load(files)

    monkeypatch.setattr("trapline.packs.contents.load", fails)
    village.own.detection("more")
    village.uses("evil")
    report = controller.reconcile()
    assert live(controller) == {"mine", "more", "good/fine", "acme/evil"}
    assert "reading the pack failed in Trapline itself: RecursionError('too deep')" in said(report)
    assert f"it stays at {before[:12]}" in said(report)


def test_its_rules_hold_up_nobody(village: Village, controller: Controller) -> None:
    explodes = b"import re\n\n\ndef detect(record):\n    return bool(re.match('(a+)+$', 'a' * 60 + 'b'))\n"
    case = b"tests: [{name: it ends, match: true, records: [{}]}]\n"
    village.plant(
        {
            b"detections": {
                b"explodes": {b"detection.yml": CONFIG.replace(b"evil", b"explodes"), b"detect.py": explodes},
                b"tested": {b"detection.yml": CONFIG.replace(b"evil", b"tested") + case, b"detect.py": explodes},
                b"loads": {
                    b"detection.yml": CONFIG.replace(b"evil", b"loads"),
                    b"detect.py": b"while True:\n    pass\n",
                },
            }
        }
    )
    report = reconciled(village, controller, "all")
    assert live(controller) == {"mine", "good/fine", "acme/explodes"}
    assert {actions(report)["acme/tested"], actions(report)["acme/loads"]} == {"stalled"}
    village.own.records(1)
    village.own.at(10)
    controller.tick()
    assert {row["detection"] for row in village.own.rows(alerts)} == {"mine", "good/fine"}
    assert {row["identity"] for row in village.own.rows(failures)} == {"acme/explodes"}
