"""The official pack: what it says about itself, its own test cases, and what it finds in real attacks."""

import re
from collections import Counter

import pyarrow.parquet as pq
import pytest

from trapline.tables.imports import import_cloudtrail

# What is found among 1,448 real events, in which attack techniques were detonated on purpose: titles, and how often.
# The detections that are not named find nothing there, and must not.
REAL_TITLES = {
    "audit_log_tampering": {
        "bert-jan tried to use StopLogging on stratus-red-team-ct-stop-trail-qzbgnfqisx": 3,
        "bert-jan tried to use DeleteTrail on stratus-red-team-cloudtraild-trail-aueolsaccp": 1,
        "bert-jan used PutEventSelectors on stratus-red-team-ctes-trail-qyxyekjbtk": 1,
        "bert-jan used DeleteTrail on stratus-red-team-ctes-trail-qyxyekjbtk": 1,
        "bert-jan used DeleteFlowLogs on fl-064ed3a785e4a37ef": 1,
    },
    "ec2_password_data_burst": {
        "stratus-red-team-ec2-get-password-data-role asks for the Windows passwords of many EC2 instances": 29
    },
    "leave_organization_attempt": {
        "stratus-red-team-leave-org-role tried to take account 123837392027 out of its organisation": 1
    },
    "secrets_read_burst": {"bert-jan reads secrets in a burst": 1},
}


@pytest.fixture(scope="session")
def real_records(real_deliveries, tmp_path_factory):
    table = tmp_path_factory.mktemp("table")
    import_cloudtrail(real_deliveries, table)
    return [record for path in sorted(table.rglob("*.parquet")) for record in pq.ParquetFile(path).read().to_pylist()]


def test_a_detection_says_what_an_analyst_needs(rule):
    config = rule.config
    assert config.enabled
    assert config.id
    assert config.display_name
    assert config.tables == ("aws_cloudtrail",)
    for text in (config.description, config.runbook):
        assert len(text.split()) > 25
    assert config.false_positives
    assert all(link.startswith("https://") for link in config.references)
    assert any("attack.mitre.org" in link for link in config.references)
    assert all(re.fullmatch(r"ta\d{4}:t\d{4}(\.\d{3})?", attack) for attack in config.reports.attack)
    assert config.reports.attack
    verdicts = Counter(bool(case.match) for case in config.tests if case.match is not None)
    assert verdicts[True] >= 2
    assert verdicts[False] >= 2


def test_the_pack_keeps_its_promises(rule):
    for case in rule.config.tests:
        found = rule.matches(case.records)
        assert case.match is None or len(found) == int(case.match), case.name
        assert all("None" not in match["title"] for match in found), case.name
        for field, expected in case.expect.model_dump(exclude_none=True).items():
            assert found[0][field] == expected, (case.name, field)


def test_the_pack_on_real_attacks(rule, real_records):
    found = rule.matches(real_records)
    assert Counter(match["title"] for match in found) == REAL_TITLES.get(rule.config.name, {})
    assert all(match["dedupe"] for match in found)
