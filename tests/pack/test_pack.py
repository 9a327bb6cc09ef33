"""The official pack: what each detection says about itself, and its own test cases."""

import re
from collections import Counter

import duckdb

from trapline.tables.cloudtrail import SCHEMA
from trapline_sandbox.mocks import mocked

QUERY = re.compile(r"^ *```\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def test_a_detection_says_what_an_analyst_needs(rule):
    config = rule.config
    assert config.enabled
    assert config.id
    assert config.display_name
    assert config.created
    assert config.modified
    assert config.tables == ("aws_cloudtrail",)
    for text in (config.description, config.runbook):
        assert len(text.split()) > 25
    assert config.false_positives
    assert config.tags
    assert all(link.startswith("https://") for link in config.references)
    assert any("attack.mitre.org" in link for link in config.references)
    assert any("docs.aws.amazon.com" in link for link in config.references)
    assert all(re.fullmatch(r"ta\d{4}:t\d{4}(\.\d{3})?", attack) for attack in config.reports.attack)
    assert config.reports.attack


def test_it_has_cases_of_both_kinds(rule):
    verdicts = Counter(bool(case.match) for case in rule.config.tests if case.match is not None)
    assert verdicts[True] >= 2
    assert verdicts[False] >= 2


def test_its_runbook_has_steps_and_queries_that_run(rule):
    assert "\n2. " in rule.config.runbook
    queries = QUERY.findall(rule.config.runbook)
    assert queries
    with duckdb.connect() as connection:
        connection.register("aws_cloudtrail", SCHEMA.empty_table())
        for query in queries:
            connection.execute(query)


def test_the_pack_keeps_its_promises(rule):
    for case in rule.config.tests:
        with mocked(rule.script.module, case.mocks):
            found = rule.matches(case.records * case.repeat)
        assert case.match is None or len(found) == int(case.match), case.name
        assert all("None" not in match["title"] for match in found), case.name
        for field, expected in case.expect.model_dump(exclude_none=True).items():
            assert found[0][field] == expected, (case.name, field)
