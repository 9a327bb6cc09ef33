"""The reference of the official detections: what a page has of its detection, and what is found stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.docs.pack import PAGES, official, stale, written
from trapline.config.files import File
from trapline.detection.load import load

RULE = """\
from lib.places import known

def detect(record):
    return record.deepget("event.action") == "Open" and record.deepget("a.b") is not None and known(record)
"""
RUNBOOK = """\
1. Ask <them>, or `rm *`.
2. Look at new_key:
   ```
   SELECT * FROM logs
   WHERE a_b <> '*'
   ```
"""


def pages(*configs: dict[str, Any], script: str = RULE) -> dict[str, str]:
    files = {"lib/places.py": "def known(record):\n    return True\n"}
    for config in configs:
        files[f"detections/{config['name']}/detect.py"] = script
        files[f"detections/{config['name']}/detection.yml"] = yaml.safe_dump(config)
    loaded = load({path: File(content=text.encode()) for path, text in files.items()})
    assert loaded.broken == {}
    return dict(written(loaded.detections))


def config(name: str = "opened", **more: Any) -> dict[str, Any]:
    return {"name": name, "enabled": True, "tables": ["aws_cloudtrail"], **more}


def test_there_is_a_page_for_each_and_an_index() -> None:
    assert [*pages(config("one"), config("two"))] == ["README.md", "one.md", "two.md"]


def test_a_page_has_the_facts() -> None:
    page = pages(
        config(
            display_name="Something was opened",
            description="Somebody opened it.",
            alert={"severity": "high", "threshold": 3, "deduplication_window_minutes": 15},
            reports={"attack": ["ta0001:t1078.004", "t1530", "ta0040"]},
            tags=["a_tag"],
            references=["https://example.com/a_b"],
            false_positives=["A *busy* day."],
            tests=[{"name": "one | two", "match": True, "records": [{"ts": "2026-01-01T00:00:00Z"}]}],
        )
    )["opened.md"]
    lines = page.splitlines()
    assert lines[0] == "# Something was opened"
    assert "Somebody opened it." in lines
    assert "| severity | high |" in lines
    assert "| alert | at 3 matches in 15 minutes |" in lines
    assert "| tables | [aws_cloudtrail](../aws_cloudtrail.md) |" in lines
    assert "| shared code | [lib/places.py](../../../lib/places.py) |" in lines
    assert "| tags | `a_tag` |" in lines
    attack = next(line for line in lines if line.startswith("| ATT&CK"))
    assert "[TA0001](https://attack.mitre.org/tactics/TA0001/) Initial Access: " in attack
    assert "[T1078.004](https://attack.mitre.org/techniques/T1078/004/) Cloud Accounts<br>" in attack
    assert "<br>[T1530](https://attack.mitre.org/techniques/T1530/) Data from Cloud Storage<br>" in attack
    assert attack.endswith("<br>[TA0040](https://attack.mitre.org/tactics/TA0040/) Impact |")
    assert "* A \\*busy* day." in lines
    assert "* one \\| two (found)" in lines
    assert "* <https://example.com/a_b>" in lines


def test_what_there_is_nothing_of_is_left_out() -> None:
    page = pages(config())["opened.md"]
    for word in ("Runbook", "False positives", "Tests", "References", "requirements", "tags", "ATT&CK"):
        assert word not in page


def test_a_runbook_keeps_its_code_and_loses_nothing_of_its_prose() -> None:
    page = pages(config(runbook=RUNBOOK))["opened.md"]
    assert "1. Ask \\<them>, or `rm *`.\n2. Look at new_key:\n" in page
    assert "   ```sql\n   SELECT * FROM logs\n   WHERE a_b <> '*'\n   ```\n" in page


def test_the_predicate_is_told_part_by_part() -> None:
    page = pages(config())["opened.md"]
    assert '```text\nevent.action == "Open"\nand a.b is not None\n```' in page
    either = """\
def detect(record):
    return record.deepget("a") == 1 and (record.deepget("b") == 2 or record.deepget("c") == 3)
"""
    assert "```text\na == 1\nand (b == 2 or c == 3)\n```" in pages(config(), script=either)["opened.md"]
    assert "finds each of those" in pages(config(), script=either)["opened.md"]
    several = f"""\
def detect(record):
    return record.deepget("a") in {tuple(f"Event{number}" for number in range(20))} or record.deepget("b") is not None
"""
    assert 'Event9",\n    "Event10", ' in pages(config(), script=several)["opened.md"]
    assert '"Event19")\nor b is not None\n```' in pages(config(), script=several)["opened.md"]


def test_a_rule_that_can_match_everything() -> None:
    page = pages(config(), script="def detect(record):\n    return hash(record) > 1\n")["opened.md"]
    assert "Every record of its tables." in page
    page = pages(config(query={"where": "a = 1"}), script="def detect(record):\n    return hash(record) > 1\n")[
        "opened.md"
    ]
    assert "```sql\na = 1\n```" in page
    assert "Every record" not in page


def test_a_rule_that_decides_on_its_severity() -> None:
    page = pages(config(), script=f'{RULE}\ndef severity(record):\n    return "high"\n')["opened.md"]
    assert "| severity | info, or as its rule says |" in page


def test_the_index_is_by_tactic_in_attacks_order() -> None:
    index = pages(
        config("later", reports={"attack": ["ta0040:t1485"]}, display_name="Late"),
        config("both", reports={"attack": ["ta0006:t1110", "ta0006:t1552.005", "ta0040:t1485"]}),
        config("off", reports={"attack": ["ta0006:t1110"]}, enabled=False),
    )["README.md"]
    assert index.index("## Credential Access") < index.index("## Impact")
    access, impact = index.split("## Credential Access")[1].split("## Impact")
    assert access.index("[both](both.md)") < access.index("[off](off.md) (disabled)")
    assert "[T1110](https://attack.mitre.org/techniques/T1110/), [T1552.005]" in access
    assert "later" not in access
    assert "| [later](later.md) | Late | info | [T1485]" in impact
    assert "| [Credential Access](#credential-access) | 2 of 8 | 1 |" in index
    assert "| Discovery | 0 of 15 | 0 |" in index
    assert "\n2 detections, by the techniques" in index


def test_what_is_stale(tmp_path: Path) -> None:
    made = pages(config("one"), config("two"))
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    assert stale(made, tmp_path) == []
    (tmp_path / "one.md").write_text("otherwise")
    (tmp_path / "two.md").unlink()
    (tmp_path / "three.md").touch()
    assert stale(made, tmp_path) == ["one.md", "three.md", "two.md"]


def test_the_pages_are_as_the_detections_have_it() -> None:
    assert stale(written(official()), PAGES) == [], "run python -m tests.docs.pack"
