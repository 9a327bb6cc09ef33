"""The Jira destination: the contract, which issues there are afterwards, and what an analyst reads in them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from trapline_plugins.adf import MAX_DOCUMENT, size
from trapline_plugins.api import Delivered, Kind, Notification, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.contract import HttpDestinationContract, OtherSide
from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.adf_rules import wrong_document
from trapline_plugins.fakes.faults import Fault
from trapline_plugins.fakes.jira import FakeJira, fake_jira
from trapline_plugins.jira import Jira, JiraConfig
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification

EMAIL = "trapline@example.com"
TOKEN = "ATATT-s3cr3t"
SEARCH_LAG = timedelta(minutes=2)
OPENED = a_notification(delivery_id="d1")
UPDATED = a_notification(delivery_id="d2", kind=Kind.UPDATED, severity="critical", match_count=9)
RESOLVED = a_notification(delivery_id="d3", kind=Kind.RESOLVED, match_count=9, resolution="ann: a penetration test")
PERMISSIONS = ("BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS", "TRANSITION_ISSUES")
SEEN = "2030-01-02 02:54:05 to 03:03:05 UTC"


class Clock:
    """The time, which passes when a test says so."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def jira() -> Iterator[FakeJira]:
    with fake_jira(EMAIL, TOKEN) as fake:
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tools(clock: Clock) -> Iterator[Tools]:
    with httpx.Client(timeout=5, trust_env=False) as http:
        yield Tools(http, clock, pytest.fail)


def destination(tools: Tools, url: str, **settings: Any) -> Jira:
    known = {"url": url, "email": EMAIL, "token": TOKEN, "project": "SEC"}
    return Jira("soc", JiraConfig.model_validate(known | settings), tools)


def send(fake: FakeJira, tools: Tools, notification: Notification, ref: str = "", **settings: Any) -> Outcome:
    soc = destination(tools, fake.url, **settings)
    return soc.send(notification, soc.render(notification), ref)


def opened(fake: FakeJira, tools: Tools) -> str:
    outcome = send(fake, tools, OPENED)
    assert isinstance(outcome, Delivered)
    return outcome.ref


def text(node: Any) -> str:
    """What a document says, a line for each block, with a bar between the cells of a table."""
    inner = [text(child) for child in node.get("content", [])]
    match node["type"]:
        case "text":
            return str(node["text"])
        case "status":
            return f"[{node['attrs']['text']}]"
        case "hardBreak":
            return "\n"
        case "tableRow":
            return " | ".join(inner)
        case "paragraph" | "heading" | "codeBlock" | "tableCell" | "tableHeader":
            return "".join(inner)
    return "\n".join(inner)


class TestJiraContract(HttpDestinationContract):
    secrets = (TOKEN, "s3cr3t", "dHJhcGxpbmVAZXhhbXBsZS5jb206")

    def make(self, tools: Tools, url: str) -> Jira:
        return destination(tools, url)

    def taken(self, request: Request) -> Answer:
        return Answer(201, b'{"id": "10001", "key": "SEC-1"}')

    @contextmanager
    def other_side(self) -> Iterator[OtherSide]:
        with fake_jira(EMAIL, TOKEN) as fake:
            yield OtherSide(fake.url, fake.faults, lambda: len(fake.issues))

    def assert_within_limits(self, rendered: dict[str, Any]) -> None:
        assert wrong_document(rendered["description"]) == ""
        assert len(rendered["summary"].encode("utf-16-le")) <= 2 * 255


@pytest.mark.parametrize("case", NOTIFICATIONS)
@pytest.mark.parametrize("ref", ["", "SEC-1"])
def test_jira_takes_whatever_is_rendered(case: str, ref: str, jira: FakeJira, tools: Tools) -> None:
    if ref:
        opened(jira, tools)
    assert isinstance(send(jira, tools, NOTIFICATIONS[case], ref), Delivered)


@pytest.mark.parametrize("character", ['"', "\\", "🔥", "<>", "x "])
def test_what_grows_on_its_way_stays_inside_the_limits(character: str, jira: FakeJira, tools: Tools) -> None:
    long = character * 5_000
    everywhere = dict.fromkeys(("title", "dedupe", "description", "runbook"), "\n".join([long] * 50))
    lists = dict.fromkeys(("false_positives", "attack", "tags"), (long,) * 50)
    notification = a_notification(**everywhere, **lists, context={f"{number}{long}": long for number in range(50)})
    assert isinstance(send(jira, tools, notification), Delivered)
    assert MAX_DOCUMENT / 3 < size(jira.issues[0].fields["description"]) <= MAX_DOCUMENT


def test_what_an_analyst_reads(jira: FakeJira, tools: Tools) -> None:
    send(jira, tools, a_notification(false_positives=("Penetration tests.",), attack=("ta0006:t1110",)))

    [issue] = jira.issues
    assert issue.fields["summary"] == "HIGH: Brute force from 203.0.113.9"
    assert issue.fields["labels"] == ["trapline", "trapline-alert-a1b2c3", "trapline-delivery-5e1f0c8e"]
    assert text(issue.fields["description"]).split("\n") == [
        "[HIGH] Brute force from 203.0.113.9",
        "As of 2030-01-02 03:04:05 UTC. What changed since is told in the comments.",
        "About | 203.0.113.9",
        "Matches | 5",
        f"Seen | {SEEN}",
        "Severity | high",
        "Detection | login_brute_force_by_ip",
        "ATT&CK | TA0006:T1110",
        "Tags | brute_force",
        "Evidence",
        "user.name | root",
        "Why it fired",
        "Failed logins exceeded the threshold.",
        "What to do",
        "1. Look for a login that succeeded.",
        "2. Block the address.",
        "It may be a false alarm",
        "Penetration tests.",
        "References",
        "https://attack.mitre.org/techniques/T1110/",
        "Where it comes from",
        "Alert | a1b2c3",
        "Table | aws_cloudtrail, 2030-01-02 02:49:05 to 03:04:05 UTC",
        "Revision | 0123456789abcdef0123456789abcdef01234567",
        "trapline alerts replay a1b2c3",
    ]


def test_a_text_keeps_its_lines(jira: FakeJira, tools: Tools) -> None:
    assert isinstance(send(jira, tools, a_notification(runbook="1. Look.\n\n2. Block.")), Delivered)
    assert "What to do\n1. Look.\n\n2. Block.\n" in text(jira.issues[0].fields["description"])


def test_an_alert_is_one_issue_that_is_closed_when_it_is_over(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    assert send(jira, tools, UPDATED, ref) == Delivered(ref=ref)
    assert send(jira, tools, RESOLVED, ref) == Delivered(ref=ref)

    [issue] = jira.issues
    assert issue.status == "Done"
    assert [text(comment) for comment in issue.comments] == [
        f"[UPDATED] 9 matches, {SEEN}, severity critical\nDelivery d2",
        f"[RESOLVED] 9 matches, {SEEN}, severity high\nann: a penetration test\nDelivery d3",
    ]


def test_settings_of_an_issue(jira: FakeJira, tools: Tools) -> None:
    settings: dict[str, Any] = {"issue_type": "Bug", "labels": ["soc"], "priorities": {"high": "Highest"}}
    assert isinstance(send(jira, tools, OPENED, **settings), Delivered)
    fields = jira.issues[0].fields
    assert (fields["issuetype"], fields["priority"], fields["labels"][-1]) == (
        {"name": "Bug"},
        {"name": "Highest"},
        "soc",
    )


def test_an_issue_says_how_bad_it_is_now(jira: FakeJira, tools: Tools) -> None:
    priorities = {"high": "High", "critical": "Highest"}
    send(jira, tools, OPENED, priorities=priorities)
    send(jira, tools, UPDATED, "SEC-1", priorities=priorities)
    fields = jira.issues[0].fields
    assert (fields["summary"], fields["priority"]["name"]) == ("CRITICAL: Brute force from 203.0.113.9", "Highest")


def test_a_summary_that_a_person_wrote_is_left_alone(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.issues[0].fields["summary"] = "HIGH: the scanner again?"
    send(jira, tools, UPDATED, ref)
    assert jira.issues[0].fields["summary"] == "HIGH: the scanner again?"


@pytest.mark.parametrize("length", [10, 240, 300])
def test_a_long_summary_is_known_again(length: int, jira: FakeJira, tools: Tools) -> None:
    send(jira, tools, a_notification(title="x" * length, severity="low"))
    send(jira, tools, a_notification(title="x" * length, severity="critical", kind=Kind.UPDATED), "SEC-1")
    assert jira.issues[0].fields["summary"].startswith("CRITICAL: xxx")


def test_an_issue_that_may_not_be_edited_says_so(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.forbidden = ("EDIT_ISSUES",)
    assert send(jira, tools, UPDATED, ref) == Delivered(ref=ref)
    assert (
        "Trapline cannot change its severity: Jira said You do not have permission to edit this issue. "
        "Please do it by hand."
    ) in text(jira.issues[0].comments[0])


@pytest.mark.parametrize("wanted", ["Complete", "complete", "done"])
def test_a_transition_is_named_by_itself_or_by_where_it_leads(wanted: str, jira: FakeJira, tools: Tools) -> None:
    jira.workflow = {"To Do": {"Cancel": "Cancelled", "Complete": "Done"}}
    send(jira, tools, RESOLVED, opened(jira, tools), resolve_transition=wanted)
    assert jira.issues[0].status == "Done"


def test_an_issue_that_cannot_be_closed_says_so(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    assert send(jira, tools, RESOLVED, ref, resolve_transition="Closed") == Delivered(ref=ref)
    assert "it offers no transition 'Closed'. Please do it by hand." in text(jira.issues[0].comments[0])


def test_a_transition_that_jira_refuses_is_told_of(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    fields = {"status": {"statusCategory": {"key": "new"}}}
    jira_says = {"errors": {"resolution": "Resolution is required."}}

    def strict(request: Request) -> Answer:
        if request.method == "POST" and request.path.endswith("/transitions"):
            return Answer(400, json.dumps(jira_says).encode())
        shown = {"fields": fields, "transitions": [{"id": "1", "name": "Done"}]}
        return Answer(200, json.dumps(shown).encode()) if request.method == "GET" else Answer(201, b"{}")

    with serving(strict) as server:
        soc = destination(tools, server.url)
        assert soc.send(RESOLVED, soc.render(RESOLVED), ref) == Delivered(ref=ref)
    comment = json.loads(server.requests[-1].body)["body"]
    assert "Jira said resolution: Resolution is required." in text(comment)


def test_an_issue_that_somebody_closed_stays_closed(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.issues[0].status = "Done"
    send(jira, tools, UPDATED, ref)
    send(jira, tools, RESOLVED, ref)
    assert jira.issues[0].status == "Done"
    _, resolved = map(text, jira.issues[0].comments)
    assert resolved == f"[RESOLVED] 9 matches, {SEEN}, severity high\nann: a penetration test\nDelivery d3"


def test_it_is_opened_again_where_that_is_asked_for(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.issues[0].status = "Done"
    send(jira, tools, UPDATED, ref, reopen_transition="Reopen")
    assert jira.issues[0].status == "To Do"


def test_without_an_issue_a_change_is_an_issue_of_its_own(jira: FakeJira, tools: Tools) -> None:
    assert send(jira, tools, RESOLVED) == Delivered(ref="SEC-1")
    [issue] = jira.issues
    assert (issue.fields["summary"], issue.status) == ("RESOLVED: Brute force from 203.0.113.9", "Done")


def test_an_issue_made_for_an_alert_that_is_over_may_stay_open(jira: FakeJira, tools: Tools) -> None:
    jira.faults.seconds = 0
    jira.faults.expect(Fault.SLOW, Fault.BROKEN)
    assert send(jira, tools, RESOLVED) == Delivered(ref="SEC-1")


@pytest.mark.parametrize("change", [UPDATED, RESOLVED])
def test_for_an_issue_that_somebody_deleted_another_is_made(change: Notification, jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.delete(ref)
    assert send(jira, tools, change, ref) == Delivered(ref="SEC-2")
    assert destination(tools, jira.url).find(change) == Delivered(ref="SEC-2")


def test_what_failed_halfway_is_repeated_without_harm(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.faults.seconds = 0
    jira.faults.expect(Fault.SLOW, Fault.SLOW, Fault.RATE_LIMITED)  # asked, moved, and then no comment
    assert send(jira, tools, RESOLVED, ref) == Retry("it answered 429 Too Many Requests", after=timedelta(seconds=7))
    assert (jira.issues[0].status, jira.issues[0].comments) == ("Done", [])
    assert destination(tools, jira.url).find(RESOLVED) is None
    assert send(jira, tools, RESOLVED, ref) == Delivered(ref=ref)
    assert len(jira.issues[0].comments) == 1


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.SLOW])
def test_an_issue_whose_answer_was_lost_is_found(fault: Fault, jira: FakeJira, tools: Tools) -> None:
    jira.faults.expect(fault)
    assert isinstance(send(jira, tools, OPENED, timeout=0.3), Unknown)
    assert destination(tools, jira.url).find(OPENED) == Delivered(ref="SEC-1")


def test_a_comment_whose_answer_was_lost_is_found(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    jira.faults.seconds = 0
    jira.faults.expect(Fault.SLOW, Fault.SLOW, Fault.LOST_ANSWER)  # asked, edited, commented
    assert isinstance(send(jira, tools, UPDATED, ref), Unknown)
    for number in range(130):
        send(jira, tools, a_notification(delivery_id=f"x{number}", kind=Kind.UPDATED), ref)
    assert destination(tools, jira.url).find(UPDATED) == Delivered(ref=ref)
    assert destination(tools, jira.url).find(RESOLVED) is None  # of comments Jira knows at once


def test_a_comment_is_found_beside_the_issue_of_another_destination(jira: FakeJira, tools: Tools) -> None:
    ref = opened(jira, tools)
    send(jira, tools, UPDATED, ref)
    send(jira, tools, a_notification(delivery_id="to another destination"))
    assert destination(tools, jira.url).find(UPDATED) == Delivered(ref=ref)


def test_a_new_issue_that_the_search_does_not_know_yet_is_waited_for(
    jira: FakeJira, tools: Tools, clock: Clock
) -> None:
    jira.search_lag = 2
    jira.faults.expect(Fault.LOST_ANSWER)
    soc = destination(tools, jira.url)
    assert isinstance(soc.send(OPENED, soc.render(OPENED), ""), Unknown)
    for _ in range(2):
        assert soc.find(OPENED) == Unknown("Jira's search does not know it, or not yet")
        clock.now += SEARCH_LAG / 4
    assert soc.find(OPENED) == Delivered(ref="SEC-1")


def test_what_the_search_does_not_know_after_a_while_never_arrived(jira: FakeJira, tools: Tools, clock: Clock) -> None:
    soc = destination(tools, jira.url)
    assert isinstance(soc.find(OPENED), Unknown)
    clock.now += SEARCH_LAG
    assert soc.find(OPENED) is None
    assert isinstance(soc.find(OPENED), Unknown)  # should it be sent again, and its answer be lost again


def test_a_search_that_knows_at_once_needs_no_waiting(jira: FakeJira, tools: Tools) -> None:
    assert destination(tools, jira.url, search_lag=0).find(OPENED) is None


def test_of_what_is_old_one_look_is_enough(jira: FakeJira, tools: Tools, clock: Clock) -> None:
    clock.now += timedelta(hours=1)
    assert destination(tools, jira.url).find(OPENED) is None


def test_another_delivery_of_the_alert_is_not_taken_for_it(jira: FakeJira, tools: Tools, clock: Clock) -> None:
    send(jira, tools, a_notification(delivery_id="to another destination"))
    clock.now += timedelta(hours=1)
    assert destination(tools, jira.url).find(OPENED) is None


def test_an_issue_that_only_the_search_still_knows_holds_no_comment(tools: Tools, clock: Clock) -> None:
    clock.now += timedelta(hours=1)

    def stale(request: Request) -> Answer:
        issues = {"issues": [{"key": "SEC-1", "fields": {"labels": []}}]}
        return Answer(200, json.dumps(issues).encode()) if "/search/" in request.path else Answer(404)

    with serving(stale) as server:
        assert destination(tools, server.url).find(UPDATED) is None


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.RATE_LIMITED, Fault.LOST_ANSWER])
def test_while_jira_does_not_tell_nothing_is_sent_twice(fault: Fault, jira: FakeJira, tools: Tools) -> None:
    jira.faults.expect(fault)
    found = destination(tools, jira.url).find(OPENED)
    assert isinstance(found, Unknown)
    assert found.reason.startswith("whether it arrived cannot be looked up: ")


def test_who_may_not_look_hears_why_from_sending(jira: FakeJira, tools: Tools) -> None:
    jira.faults.expect(Fault.UNAUTHORISED)
    assert destination(tools, jira.url).find(OPENED) is None


def test_ids_that_are_no_labels_are_found_too(jira: FakeJira, tools: Tools) -> None:
    odd = a_notification(delivery_id='a b" OR labels = "x', alert_id="é" * 300)
    assert send(jira, tools, odd) == Delivered(ref="SEC-1")
    assert destination(tools, jira.url).find(odd) == Delivered(ref="SEC-1")


def test_a_token_with_scopes_has_an_address_of_its_own(tools: Tools) -> None:
    with serving(lambda _: Answer(201, b'{"key": "SEC-1"}')) as server:
        soc = destination(tools, f"{server.url}ex/jira/11223344/")
        assert soc.send(OPENED, soc.render(OPENED), "") == Delivered(ref="SEC-1")
    assert [request.path for request in server.requests] == ["/ex/jira/11223344/rest/api/3/issue"]


def test_a_refusal_is_told_in_jiras_words(jira: FakeJira, tools: Tools) -> None:
    assert send(jira, tools, OPENED, issue_type="Epos", priorities={"high": "P1"}) == Rejected(
        "it answered 400 Bad Request: Jira said issuetype: Specify a valid issue type; "
        "priority: The priority selected is invalid."
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "it answered 401 Unauthorized: `email` and `token` are not those of a user of this site"),
        (
            403,
            "it answered 403 Forbidden: the user may not do this; `trapline destinations check` says what is missing",
        ),
        (404, "it answered 404 Not Found: `url` is no Jira site, or the user cannot see what was asked for"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, words: str, tools: Tools) -> None:
    with serving(lambda _: Answer(status, b'{"errorMessages": ["no"]}')) as server:
        soc = destination(tools, server.url)
        assert soc.send(OPENED, soc.render(OPENED), "") == Rejected(words)


@pytest.mark.parametrize("body", [b"<h1>Log in</h1>", b"[]", b"", b"\xff"])
def test_an_answer_of_somebody_else_is_no_delivery(body: bytes, tools: Tools) -> None:
    with serving(lambda _: Answer(200, body)) as server:
        soc = destination(tools, server.url)
        assert soc.send(OPENED, soc.render(OPENED), "") == Rejected(
            "its answer is none of Jira's: `url` is not that of a Jira site"
        )


def test_an_endless_answer_is_not_read(tools: Tools) -> None:
    with serving(lambda _: Answer(201, b" " * 20_000_000)) as server:
        soc = destination(tools, server.url)
        assert soc.send(OPENED, soc.render(OPENED), "") == Unknown("its answer is too long")


def test_nobody_is_mentioned_and_nothing_is_linked(jira: FakeJira, tools: Tools) -> None:
    hostile = "[~accountid:1] @all [x|http://evil.example] <b>hi</b> {panel} *bold* javascript:alert(1)"
    send(jira, tools, a_notification(title=hostile, dedupe=hostile, runbook=hostile, context={hostile: hostile}))
    page = tools.http.get(jira.url).text
    assert 'class="mention"' not in page
    assert "<b>hi" not in page
    assert page.count("<a ") == 1  # the detection's own reference
    assert "evil.example" not in page


def test_check(jira: FakeJira, tools: Tools) -> None:
    assert destination(tools, jira.url).check() is None
    assert destination(tools, jira.url, issue_type="Epos").check() == (
        "the project SEC has no issue type 'Epos', but: Task, Bug"
    )
    assert destination(tools, jira.url, project="NONE").check() == (
        "it answered 404 Not Found: `url` is no Jira site, or the user cannot see what was asked for"
    )
    assert destination(tools, jira.url, priorities={"high": "High"}).check() is None
    assert destination(tools, jira.url, priorities={"high": "P1"}).check() == (
        "a 'Task' has no priority 'P1', but: Highest, High, Medium, Low, Lowest"
    )
    jira.demanded = ("Due date", "Team")
    assert destination(tools, jira.url).check() == (
        "a 'Task' must have fields that Trapline does not set: Due date, Team"
    )
    jira.forbidden = ("ADD_COMMENTS", "TRANSITION_ISSUES")
    assert destination(tools, jira.url).check() == (
        "the user may not add comments, transition issues in the project SEC"
    )
    assert jira.issues == []


def test_check_misses_the_labels_by_which_issues_are_found(tools: Tools) -> None:
    answers: dict[str, Any] = {
        "myself": {},
        "project": {"issueTypes": [{"id": "1", "name": "Task"}]},
        "mypermissions": {"permissions": {name: {"havePermission": True} for name in PERMISSIONS}},
        "issue": {"fields": [{"fieldId": name} for name in ("project", "issuetype", "summary", "description")]},
    }
    parts = len("/rest/api/3/")
    with serving(
        lambda one: Answer(200, json.dumps(answers[re.split("[/?]", one.path[parts:])[0]]).encode())
    ) as server:
        said = destination(tools, server.url).check()
    assert said == "on the screen to create a 'Task' there is no field for: labels"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "http://jira.example"}, "a token must not be sent unencrypted"),
        ({"url": "jira.example"}, "this is not an http:// or https:// address"),
        ({"url": "https://user@jira.example"}, "this is not a site's address alone"),
        ({"url": "https://jira.example?os=1"}, "this is not a site's address alone"),
        ({"project": "sec"}, "this is not a project's key"),
        ({"labels": ["two words"]}, "'two words' is no label"),
        ({"priorities": {"urgent": "High"}}, "Input should be 'info', 'notice'"),
        ({"timeout": 6}, "less than or equal to 5"),
        ({"assignee": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    known = {"url": "https://jira.example", "email": EMAIL, "token": TOKEN, "project": "SEC"}
    with pytest.raises(ValidationError, match=words):
        JiraConfig.model_validate(known | settings)


def paragraph(*content: Any) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def said(words: str, *marks: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, "marks": list(marks)}


@pytest.mark.parametrize(
    ("block", "right"),
    [
        (paragraph(said("x")), True),
        (paragraph(), True),
        (paragraph(said("")), False),
        (paragraph(said("x", {"type": "code"}, {"type": "strong"})), False),
        (paragraph(said("x", {"type": "blink"})), False),
        (paragraph(said("x", {"type": "link", "attrs": {}})), False),
        (paragraph(paragraph()), False),
        ({**paragraph(), "text": "x"}, False),
        ({"type": "heading", "attrs": {"level": 7}, "content": [said("x")]}, False),
        ({"type": "panel", "attrs": {"panelType": "red"}, "content": [paragraph()]}, False),
        ({"type": "panel", "attrs": {"panelType": "info"}, "content": []}, False),
        ({"type": "table", "content": [paragraph()]}, False),
        (
            {"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "table", "content": []}]}]},
            False,
        ),
        ({"type": "codeBlock", "content": [said("x", {"type": "strong"})]}, False),
        (paragraph({"type": "status", "attrs": {"text": "", "color": "red"}}), False),
        (paragraph({"type": "status", "attrs": {"text": "x", "color": "pink"}}), False),
        ({"type": "unheard of"}, False),
        (paragraph(said("x" * 33_000)), False),
    ],
)
def test_the_fake_refuses_what_jira_refuses(block: dict[str, Any], right: bool) -> None:
    assert (wrong_document({"version": 1, "type": "doc", "content": [block]}) == "") is right


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("summary", "x" * 256, "exceed 255"),
        ("summary", "a\nb", "newline"),
        ("summary", " ", "must specify"),
        ("labels", ["a b"], "contains spaces"),
        ("labels", ["x" * 256], "maximum length"),
        ("description", "text", "Atlassian Document"),
        ("colour", "red", "unknown"),
    ],
)
def test_the_fake_refuses_fields(field: str, value: Any, words: str, jira: FakeJira, tools: Tools) -> None:
    fields = destination(tools, jira.url).render(OPENED) | {field: value}
    answer = tools.http.post(f"{jira.url}rest/api/3/issue", json={"fields": fields}, auth=(EMAIL, TOKEN))
    assert answer.status_code == 400
    assert words in answer.json()["errors"][field]
    assert jira.issues == []
