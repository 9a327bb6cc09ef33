"""Made-up detections, in both formats, as the files of a repository; each has three tests."""

from __future__ import annotations

from trapline.config.files import File

_DETECT_PY = '''\
"""Finds action number {number}."""

ACTIONS = {{"Action{number}", "Other{number}"}}


def detect(record):
    if record.deepget("event.outcome") != "success":
        return False
    return (
        record.deepget("event.action") in ACTIONS
        and record.deepget("aws.cloudtrail.user_identity.type", "").startswith("IAM")
    )


def title(record):
    return f"{{record.deepget('user.name')}} did action {number}"


def dedupe(record):
    return record.deepget("user.name")
'''

_DETECTION_YML = """\
name: detection_{number}
display_name: Action {number} by a user
description: Somebody did action {number}, which nobody should.
enabled: true
created: 2026/01/01
runbook: Ask them. Then ask somebody else.
references: [https://example.com/{number}]
reports: {{attack: ["ta0006:t1110"]}}
alert: {{severity: high, threshold: 2, deduplication_window_minutes: 30}}
tables: [events]
tags: [made_up]
tests:
  - name: the action
    match: true
    records:
      - event: {{action: Action{number}, outcome: success}}
        user: {{name: mallory}}
        aws: {{cloudtrail: {{user_identity: {{type: IAMUser}}}}}}
    expect: {{title: mallory did action {number}, dedupe: mallory}}
  - name: another action
    match: false
    records: [{{event: {{action: Nothing, outcome: success}}, user: {{name: alice}}}}]
  - name: it fails
    match: false
    records: [{{event: {{action: Action{number}, outcome: failure}}, user: {{name: mallory}}}}]
"""

_DETECTION_PY = '''\
"""Finds who did action number {number} three times."""

from collections import defaultdict


def detect(records):
    seen = defaultdict(list)
    for record in records:
        if record.deepget("event.action") == "Action{number}":
            seen[record.deepget("user.name")].append(record)
    for name, theirs in seen.items():
        if len(theirs) >= 3:
            yield {{"record": theirs[0], "title": f"{{name}} did action {number} often", "dedupe": name}}
'''

_DETECTION_TOML = """\
name = "detection_{number}"
display_name = "Action {number} in a burst"
description = "Somebody did action {number} again and again."
enabled = true
created = "2026/01/01"
runbook = "Ask them. Then ask somebody else."
references = ["https://example.com/{number}"]
tables = ["events"]
tags = ["made_up"]

[reports]
attack = ["ta0006:t1110"]

[alert]
severity = "medium"
deduplication_window_minutes = 30

[[tests]]
name = "three times"
match = 1
records = [
  {{ event.action = "Action{number}", user.name = "mallory" }},
  {{ event.action = "Action{number}", user.name = "mallory" }},
  {{ event.action = "Action{number}", user.name = "mallory" }},
]
expect.title = "mallory did action {number} often"

[[tests]]
name = "once"
match = false
records = [{{ event.action = "Action{number}", user.name = "alice" }}]

[[tests]]
name = "another action"
match = false
records = [{{ event.action = "Nothing", user.name = "alice" }}]
"""

_FORMATS = (
    {"detect.py": _DETECT_PY, "detection.yml": _DETECTION_YML},
    {"detection.py": _DETECTION_PY, "detection.toml": _DETECTION_TOML},
)


def make_files(count: int, *, start: int = 0) -> dict[str, File]:
    """The files of so many detections, alternating between the formats, no two of them alike."""
    return {
        f"detections/detection_{number}/{name}": File(content=template.format(number=number).encode())
        for number in range(start, start + count)
        for name, template in _FORMATS[number % 2].items()
    }
