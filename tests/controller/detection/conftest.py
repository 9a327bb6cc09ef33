"""Detections in memory, as the user's own documents print them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from trapline.config.files import File

# Exactly as the format's document prints it: without its indentation.
SAMPLE_YAML = """\
# (optional) a unique identifier for the detection.
id: 7ad1600d-e9dc-4251-b0ee-a65268f29add
# (optional) The creation date of the detection.
created: 2022/10/23
# A name for the detection.
name: login_brute_force_by_ip
# (optional) A human readable representation of the detection name.
display_name: Brute Force Login Attempts by IP
# (optional) Description of the detection and alert.
description: Failed login attempts for a user exceeded the configured theshold.
# (default: false) Whether or not detection is enabled.
enabled: true
# (optional) The steps that should be taken to investigate an alert created by this detection.
runbook: Idenitfy whether or not a user from this IP was able to eventually login sucessfully. Investigate this IP \
and search for activity from it around the duration of this event.
# (optional) A list of reference links.
references:
- https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user.html
# (optional) A list of possible reasons for an alert from this detection is a false positive.
false_positives:
- Non-malicious user with a forgotten password.
reports:
# (optional) List of related MITRE ATT&CK IDs
attack:
- ta0006:t1110
alert:
# (default: info, one of: info, notice, low, medium, high, critical) Static severity for an alert created by this \
detection.
severity: medium
# (default: 1) The threshold count for rule matches within a given deduplication window before an alert is created.
threshold: 5
# (default: 60) The number of minutes for which an active alert will be deduplicated and incoming rule matches will \
be appended to the existing alert instead of creating a new one.
deduplication_window_minutes: 15
# (optional) A list of Matano alert destination names to deliver alerts to.
destinations:
- slack_my_team
- jira_main
# An array of table names for which to run the detection.
tables:
- aws_cloudtrail
# (optional) The last modified date.
modified: 2022/10/23
# (optional) A list of tags to associate with this detection.
tags:
- brute_force
"""

# The first sample script, indented; it reads an undefined name.
SAMPLE_SCRIPT = """\
def detect(record):
    return (
        record.deepget("event.action") == "CreateInstanceExportTask"
        and record.deepget("event.provider") == "ec2.amazonaws.com"
        and event.outcome == "failure"
    )
"""

Tree = Callable[..., Mapping[str, File]]


@pytest.fixture
def sample_yaml() -> str:
    return SAMPLE_YAML


@pytest.fixture
def sample_script() -> str:
    return SAMPLE_SCRIPT


@pytest.fixture
def tree() -> Tree:
    """`tree({"a/detection.yml": "..."})`: files beneath detections/."""

    def make(files: Mapping[str, str | bytes]) -> Mapping[str, File]:
        return {
            f"detections/{path}": File(content=text if isinstance(text, bytes) else text.encode())
            for path, text in files.items()
        }

    return make
