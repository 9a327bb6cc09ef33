"""Both documented formats load as they are; one broken directory never holds up another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from trapline.config.files import File
from trapline.detection.load import Loaded, load
from trapline.detection.model import Mode, Severity
from trapline.errors import Problem

Tree = Callable[..., Mapping[str, File]]

OK = "def detect(record):\n    return True\n"
BATCH = "def detect(records):\n    for record in records:\n        yield {'record': record}\n"

TWIN = {"detection.yml": "name: same\ntables: [logs]\n", "detect.py": OK}


def yaml(name: str, more: str = "") -> str:
    return f"name: {name}\ntables: [aws_cloudtrail]\n{more}"


def only(loaded: Loaded) -> Problem:
    assert len(loaded.problems) == 1, loaded.problems
    return loaded.problems[0]


def test_the_documented_sample_loads_as_it_is_printed(tree: Tree, sample_yaml: str) -> None:
    files = tree(
        {
            "my_detection/detect.py": OK,
            "my_detection/requirements.txt": "ipaddress\n",
            "my_detection/detection.yml": sample_yaml,
        }
    )
    loaded = load(files)
    assert not loaded.broken
    [detection] = loaded.detections
    config = detection.config
    assert (detection.name, detection.identity) == ("login_brute_force_by_ip", "7ad1600d-e9dc-4251-b0ee-a65268f29add")
    assert (detection.mode, detection.path) == (Mode.RECORD, "detections/my_detection")
    assert set(detection.files) == {"detect.py", "requirements.txt", "detection.yml"}
    assert detection.requirements == "ipaddress\n"
    assert config.created == config.modified == date(2022, 10, 23)
    assert config.enabled is True
    assert config.display_name == "Brute Force Login Attempts by IP"
    assert config.description and config.runbook
    assert config.references == ("https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user.html",)
    assert config.false_positives == ("Non-malicious user with a forgotten password.",)
    assert config.reports.attack == ("ta0006:t1110",)
    assert config.alert.severity is Severity.MEDIUM
    assert config.alert.threshold == 5
    assert config.alert.window == timedelta(minutes=15)
    assert config.alert.destinations == ("slack_my_team", "jira_main")
    assert config.tables == ("aws_cloudtrail",)
    assert config.tags == ("brute_force",)
    assert {(p.code, p.severity) for p in loaded.problems} == {("misplaced-key", "warning")}
    assert [p.message.split("`")[1] for p in loaded.problems] == [
        "attack",
        "severity",
        "threshold",
        "deduplication_window_minutes",
        "destinations",
    ]
    lines = sample_yaml.splitlines()
    assert all(lines[p.line - 1].startswith(p.message.split("`")[1]) for p in loaded.problems)


def test_the_batch_format(tree: Tree) -> None:
    toml = """\
name = "spray"
enabled = true
created = 2022-10-23
modified = "2022/1/3"
tables = ["aws_cloudtrail", "okta"]
[alert]
severity = "high"
[query]
where = "event.outcome = 'failure'"
[[tests]]
name = "a case"
match = 2
records = [{ event = { outcome = "failure" } }, {}]
[tests.expect]
title = "Spray"
severity = "high"
"""
    loaded = load(tree({"deep/down/spray/detection.toml": toml, "deep/down/spray/detection.py": BATCH}))
    assert loaded.problems == ()
    [detection] = loaded.detections
    assert detection.mode is Mode.BATCH
    assert detection.config.query.where == "event.outcome = 'failure'"
    assert (detection.config.created, detection.config.modified) == (date(2022, 10, 23), date(2022, 1, 3))
    [case] = detection.config.tests
    assert (case.match, case.expect.title, case.records[0]) == (2, "Spray", {"event": {"outcome": "failure"}})


def test_defaults_and_empty_groups(tree: Tree) -> None:
    loaded = load(tree({"a/detection.yml": yaml("a", "alert:\nreports:\ndescription:\ntags:\n"), "a/detect.py": OK}))
    assert loaded.problems == ()
    config = loaded.detections[0].config
    assert config.enabled is False
    assert (config.alert.severity, config.alert.threshold, config.alert.window) == ("info", 1, timedelta(hours=1))


def test_detections_are_sorted_and_other_files_are_nobodys(tree: Tree) -> None:
    files = tree({"z/detection.yml": yaml("a"), "z/detect.py": OK, "b/detection.yml": yaml("c"), "b/detect.py": OK})
    others = {
        "README.md": File(content=b""),
        "lib/detect.py": File(content=b""),
        "detections/notes.md": File(content=b""),
    }
    loaded = load({**files, **others})
    assert [d.name for d in loaded.detections] == ["a", "c"]
    assert loaded.problems == ()


def test_files_belong_to_the_innermost_detection(tree: Tree) -> None:
    loaded = load(
        tree(
            {
                "a/detection.yml": yaml("a"),
                "a/detect.py": OK,
                "a/helpers/detect.py": "x = 1\n",
                "a/inner/detection.yml": yaml("b"),
                "a/inner/detect.py": OK,
                "a/inner/data/list.txt": "1",
            }
        )
    )
    assert loaded.problems == ()
    assert {d.name: sorted(d.files) for d in loaded.detections} == {
        "a": ["detect.py", "detection.yml", "helpers/detect.py"],
        "b": ["data/list.txt", "detect.py", "detection.yml"],
    }


@pytest.mark.parametrize("root", ["", ".", "./"])
def test_a_single_detection_directory_as_the_root(root: str) -> None:
    files = {"detection.yml": File(content=yaml("a").encode()), "detect.py": File(content=OK.encode())}
    loaded = load(files, root=root)
    assert [(d.name, d.path) for d in loaded.detections] == [("a", ".")]
    files["detect.py"] = File(content=b"def detect(:")
    assert only(load(files, root=root)).path == "detect.py"


YML = {"detection.yml": yaml("x")}


@pytest.mark.parametrize(
    ("files", "code", "path", "words"),
    [
        ({"detect.py": OK}, "no-config", "detect.py", "add detections/x/detection.yml"),
        ({"detection.py": BATCH}, "no-config", "detection.py", "add detections/x/detection.toml"),
        ({"detection.yaml": yaml("x")}, "config-name", "detection.yaml", "rename it to detection.yml"),
        ({**YML, "detection.toml": "", "detect.py": OK}, "two-configs", "detection.toml", "keep one"),
        (YML, "no-script", "detection.yml", "add detections/x/detect.py"),
        ({**YML, "detection.py": OK}, "no-script", "detection.yml", "rename detection.py to detect.py"),
        ({**YML, "detct.py": OK}, "no-script", "detection.yml", "rename detct.py to detect.py"),
        ({**YML, "detect.py": OK, "lib/a.py": "def"}, "python-syntax", "lib/a.py", "line 1"),
        ({**YML, "detect.py": OK, "requirements.txt": b"\xff"}, "not-utf8", "requirements.txt", "UTF-8"),
    ],
)
def test_directories_that_are_not_whole(
    tree: Tree, files: dict[str, str | bytes], code: str, path: str, words: str
) -> None:
    beneath = {f"x/{name}": text for name, text in files.items()}
    loaded = load(tree({**beneath, "ok/detection.yml": yaml("ok"), "ok/detect.py": OK}))
    problem = only(loaded)
    assert (problem.code, problem.path, problem.severity) == (code, f"detections/x/{path}", "error")
    assert words in problem.remedy
    assert [d.name for d in loaded.detections] == ["ok"]
    assert loaded.broken == {"detections/x": (problem,)}


@pytest.mark.parametrize(
    ("more", "line", "code", "message", "remedy"),
    [
        ("alert:\n  severity: urgent", 4, "invalid-value", "`alert.severity` is 'urgent'", "write one of"),
        ("alert: {severity: hihg}", 3, "invalid-value", "should be one of 'info', 'notice'", "did you mean `high`?"),
        ("alert: {threshold: 0}", 3, "invalid-value", "should be at least 1", "at least 1"),
        ("alert: {threshold: '5'}", 3, "invalid-value", "should be a whole number", "without quotes"),
        ("threshold: many", 3, "invalid-value", "`alert.threshold` is 'many'", "without quotes"),
        ("alert: medium", 3, "invalid-value", "is text and should be a group of keys", "beneath `alert`"),
        ("enabled: 'yes'", 3, "invalid-value", "`enabled` is 'yes' and should be true or false", "true or false"),
        ("created: yesterday", 3, "invalid-value", "2022/10/23", ""),
        ("created: 20221023", 3, "invalid-value", "2022/10/23", ""),
        ("created: 2022/13/23", 3, "invalid-value", "month must be in", ""),
        ("id: 12", 3, "invalid-value", "`id` is a number and should be text", 'put it in quotes: "12"'),
        ("id: a/b", 3, "invalid-value", "without spaces and slashes", ""),
        ("tags: brute_force", 3, "invalid-value", "is text and should be a list", "write a list: [brute_force]"),
        ("references:\n- a\n- 5", 5, "invalid-value", "`references[1]` is a number", "quotes"),
        ("tests:\n- name: a\n  records: [{}]", 4, "invalid-value", "neither `match` nor `alerts`", "add `match: true`"),
        (
            "tests:\n- {name: a, match: 1, records: [{}], mocks: {a.: 1}}",
            4,
            "invalid-value",
            "no name",
            "`requests.get`",
        ),
        ("tests:\n- {name: a, match: 1, records: [{}], repeat: 0}", 4, "invalid-value", "at least 1", "at least 1"),
        (
            "tests:\n- {name: a, match: 1, records: [{}], repeat: 4, clock: {start: 9998-01-01, every: 300d}}",
            4,
            "invalid-value",
            "beyond the year 9999",
            "earlier",
        ),
        ("tests:\n- {name: a, match: sure, records: [{}]}", 4, "invalid-value", "the number of matches", ""),
        ("tests:\n- {name: a, match: true, records: []}", 4, "invalid-value", "at least 1 entry", "records"),
    ],
)
def test_wrong_values_are_errors_with_line_and_remedy(
    tree: Tree, more: str, line: int, code: str, message: str, remedy: str
) -> None:
    loaded = load(tree({"a/detection.yml": yaml("a", more), "a/detect.py": OK}))
    [problem] = [p for p in loaded.problems if p.severity == "error"]
    assert (problem.line, problem.code) == (line, code)
    assert message in problem.message
    assert remedy in problem.remedy
    assert "pydantic" not in str(problem) and "Input should" not in str(problem)
    assert loaded.broken_identities == {"a"} | ({"a/b"} if "a/b" in more else set())


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "x" * 129, "ä"])
def test_names_that_cannot_be(tree: Tree, name: str) -> None:
    loaded = load(tree({"a/detection.yml": f"name: '{name}'\ntables: [t]", "a/detect.py": OK}))
    assert "a name is 1 to 128 letters" in only(loaded).message


@pytest.mark.parametrize("text", ["name: trapline", "name: Trapline", "name: a\nid: trapline"])
def test_the_name_of_trapline_itself_is_taken(tree: Tree, text: str) -> None:
    loaded = load(tree({"a/detection.yml": f"{text}\ntables: [t]", "a/detect.py": OK}))
    assert "kept for the alerts about Trapline itself: choose another" in only(loaded).message
    assert only(loaded).line == text.count("\n") + 1
    assert loaded.detections == ()


def test_what_must_be_there(tree: Tree) -> None:
    loaded = load(tree({"a/detection.yml": "description: x\ntables:\n", "a/detect.py": OK}))
    assert sorted(p.message for p in loaded.problems) == ["`name` is missing", "`tables` is missing"]


def test_unknown_keys_warn_with_a_suggestion(tree: Tree) -> None:
    more = "enabeld: true\nalert:\n  treshold: 3\ntests:\n- {name: a, match: true, records: [{x: 1}], expct: {}}\n"
    loaded = load(tree({"a/detection.yml": yaml("a", more), "a/detect.py": OK}))
    assert not loaded.broken
    assert [(p.line, p.severity, p.message, p.remedy) for p in loaded.problems] == [
        (3, "warning", "unknown key `enabeld` is ignored", "did you mean `enabled`?"),
        (5, "warning", "unknown key `alert.treshold` is ignored", "did you mean `threshold`?"),
        (7, "warning", "unknown key `tests[0].expct` is ignored", "did you mean `expect`?"),
    ]


def test_a_key_at_the_top_and_in_its_group(tree: Tree) -> None:
    loaded = load(tree({"a/detection.yml": yaml("a", "threshold: 7\nalert:\n  threshold: 3\n"), "a/detect.py": OK}))
    assert loaded.detections[0].config.alert.threshold == 3
    assert (only(loaded).line, only(loaded).severity) == (3, "warning")


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (yaml("same"), yaml("same"), "the name `same` is also that of"),
        (yaml("a", "id: same"), yaml("b", "id: same"), "the id `same` is also that of"),
        (yaml("a", "id: same"), yaml("same"), "`same` is also that of"),
    ],
)
def test_twins_are_both_broken_and_name_each_other(tree: Tree, one: str, two: str, words: str) -> None:
    loaded = load(tree({"one/detection.yml": one, "one/detect.py": OK, "two/detection.yml": two, "two/detect.py": OK}))
    assert loaded.detections == ()
    assert set(loaded.broken) == {"detections/one", "detections/two"}
    first, second = loaded.problems
    assert words in first.message
    assert "detections/two" in first.message and "detections/one" in second.message
    assert first.line
    assert "same" in loaded.broken_identities


def test_of_many_twins_a_few_are_named(tree: Tree) -> None:
    """Each would otherwise name all others, which is more than any memory holds."""
    loaded = load(tree({f"{number}/{name}": text for number in range(100) for name, text in TWIN.items()}))
    assert len(loaded.broken) == 100
    last = loaded.broken["detections/99"][-1].message
    assert last == "the name `same` is also that of detections/0, detections/1, detections/10 and 96 more"


def test_the_identity_of_a_broken_detection_is_still_known(tree: Tree) -> None:
    loaded = load(
        tree(
            {
                "a/detection.yml": yaml("a", "id: one"),
                "a/detect.py": "def detect(:",
                "b/detection.yml": "id: 'two'  # its id\nname: b\ntables: [\n",
                "b/detect.py": OK,
                "c/detection.toml": 'name = "c"\ntables = ',
                "c/detection.py": BATCH,
                "d/detect.py": OK,
            }
        )
    )
    assert loaded.broken_identities == {"a", "one", "b", "two", "c"}
    assert list(loaded.broken) == [f"detections/{name}" for name in "abcd"]


def test_a_file_without_content_breaks_only_its_detection(tree: Tree) -> None:
    files = dict(
        tree({"a/detection.yml": yaml("a"), "a/detect.py": OK, "b/detection.yml": yaml("b"), "b/detect.py": OK})
    )
    files["detections/a/model.bin"] = File(content=b"", absent="is 5 bytes too large")
    loaded = load(files)
    assert [d.name for d in loaded.detections] == ["b"]
    assert only(loaded).message == "model.bin is 5 bytes too large"


@given(st.binary(), st.binary(), st.sampled_from(["detection.yml", "detection.toml"]))
def test_any_bytes_load_or_are_told(config: bytes, script: bytes, name: str) -> None:
    files = {
        f"detections/a/{name}": File(content=config),
        f"detections/a/{'detect.py' if name.endswith('yml') else 'detection.py'}": File(content=script),
    }
    loaded = load(files)
    assert len(loaded.detections) + len(loaded.broken) == 1
    assert all(p.message for p in loaded.problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "name",
        "id",
        "tables",
        "alert",
        "reports",
        "query",
        "tests",
        "created",
        "severity",
        "threshold",
        "enabled",
        "tags",
    ]
)


@given(st.dictionaries(KEYS, JSON))
def test_any_values_load_or_are_told(data: dict[str, object]) -> None:
    content = pyyaml.safe_dump(data, allow_unicode=False).encode()
    loaded = load({"a/detection.yml": File(content=content), "a/detect.py": File(content=OK.encode())}, root="")
    assert len(loaded.detections) + len(loaded.broken) == 1
    assert all(str(p) for p in loaded.problems)
