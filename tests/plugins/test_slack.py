"""The Slack destination: the contract, what the channel holds afterwards, and what an analyst reads there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from trapline_plugins.api import Delivered, Kind, Notification, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.contract import HttpDestinationContract, OtherSide
from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.faults import Fault
from trapline_plugins.fakes.slack import FakeSlack, fake_slack
from trapline_plugins.fakes.slack_rules import wrong_with
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification
from trapline_plugins.slack import Slack, SlackConfig

TOKEN = "xoxb-1234-s3cr3t"
CHANNEL = "C0123456789"
OPENED = a_notification(delivery_id="d1")
UPDATED = a_notification(delivery_id="d2", kind=Kind.UPDATED, severity="critical", match_count=9)
RESOLVED = a_notification(delivery_id="d3", kind=Kind.RESOLVED, match_count=9, resolution="ann: a `test`")


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with fake_slack(TOKEN, CHANNEL, NOW.timestamp) as fake:
        yield fake


@pytest.fixture
def tools() -> Iterator[Tools]:
    with httpx.Client(timeout=5, trust_env=False) as http:
        yield Tools(http, lambda: NOW, pytest.fail)


def destination(tools: Tools, url: str, **settings: Any) -> Slack:
    return Slack("soc", SlackConfig.model_validate({"url": url, "token": TOKEN, "channel": CHANNEL, **settings}), tools)


def send(fake: FakeSlack, tools: Tools, notification: Notification, ref: str = "", **settings: Any) -> Outcome:
    soc = destination(tools, fake.url, **settings)
    return soc.send(notification, soc.render(notification), ref)


def opened(fake: FakeSlack, tools: Tools) -> str:
    outcome = send(fake, tools, OPENED)
    assert isinstance(outcome, Delivered)
    return outcome.ref


def said(error: str) -> Answer:
    return Answer(200, json.dumps({"ok": False, "error": error}).encode())


class TestSlackContract(HttpDestinationContract):
    secrets = (TOKEN, "s3cr3t")

    def make(self, tools: Tools, url: str) -> Slack:
        return destination(tools, url)

    def taken(self, request: Request) -> Answer:
        return Answer(200, b'{"ok": true, "ts": "1.000001"}')

    def failing(self, status: int) -> Answer:
        errors = {401: "invalid_auth", 404: "channel_not_found"}
        return said(errors[status]) if status in errors else super().failing(status)

    def assert_within_limits(self, rendered: dict[str, Any]) -> None:
        for message in rendered.values():
            assert wrong_with(message) == ""
            assert len(json.dumps(message, ensure_ascii=False)) < 40_000

    @contextmanager
    def other_side(self) -> Iterator[OtherSide]:
        with fake_slack(TOKEN, CHANNEL, NOW.timestamp) as fake:
            yield OtherSide(fake.url, fake.faults, lambda: len(fake.messages))


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_slack_takes_whatever_is_rendered(case: str, slack: FakeSlack, tools: Tools) -> None:
    assert send(slack, tools, NOTIFICATIONS[case]) == Delivered(ref=slack.messages[0].ts)
    assert len(slack.messages) == 1


@pytest.mark.parametrize("character", ["&", "`", "🔥", "<>"])
def test_what_grows_on_its_way_stays_inside_the_limits(character: str, slack: FakeSlack, tools: Tools) -> None:
    text = character * 5_000
    everywhere = dict.fromkeys(("title", "dedupe", "description", "runbook"), "\n".join([text] * 50))
    lists = dict.fromkeys(("false_positives", "attack", "tags"), (text,) * 50)
    notification = a_notification(**everywhere, **lists, context={f"{number}{text}": text for number in range(50)})
    assert isinstance(send(slack, tools, notification), Delivered)
    evidence = [block for block in slack.messages[0].blocks if "…`  `" in str(block)]
    assert len(evidence) > 1


def test_what_an_analyst_reads(slack: FakeSlack, tools: Tools) -> None:
    send(slack, tools, a_notification(false_positives=("Penetration tests.",), attack=("ta0006:t1110",)))

    [message] = slack.messages
    assert message.text == "🔴 HIGH: Brute force from 203.0.113.9"
    header, facts, evidence, *rest = message.blocks
    assert header["text"]["text"] == "🔴 HIGH: Brute force from 203.0.113.9"
    assert [field["text"] for field in facts["fields"]] == [
        "*About*\n`203.0.113.9`",
        "*Matches*\n5",
        "*Seen*\n2030-01-02 02:54:05 to 03:03:05 UTC",
        "*Severity*\nhigh",
        "*Status*\nopened",
        "*Detection*\n`login_brute_force_by_ip`",
        "*ATT&amp;CK*\n`TA0006:T1110`",
        "*Tags*\n`brute_force`",
    ]
    assert evidence["text"]["text"] == "*Evidence*\n`user.name`  `root`"
    *sections, divider, origin, replay = rest
    assert [section["text"]["text"] for section in sections] == [
        "*Why*",
        "Failed logins exceeded the threshold.",
        "*Runbook*",
        "1. Look for a login that succeeded.\n2. Block the address.",
        "*False positives*",
        "Penetration tests.",
        "*References*\n<https://attack.mitre.org/techniques/T1110/>",
    ]
    assert divider == {"type": "divider"}
    assert [element["text"] for element in origin["elements"]] == [
        "Alert `a1b2c3`",
        "Table `aws_cloudtrail, 2030-01-02 02:49:05 to 03:04:05 UTC`",
        "Revision `0123456789abcdef0123456789abcdef01234567`",
    ]
    assert replay["text"]["text"] == "*Replay*\n`trapline alerts replay a1b2c3`"


@pytest.mark.parametrize(("title", "length"), [("x" * 200, 149), ("🔥" * 200, 79)])
def test_a_title_too_long_for_a_header_is_also_shown_whole(title: str, length: int, tools: Tools) -> None:
    header, whole, *_ = destination(tools, "http://localhost/").render(a_notification(title=title))["alert"]["blocks"]
    assert len(header["text"]["text"]) == length  # of characters; Slack's 150 may be meant in UTF-16 units
    assert whole["text"] == {"type": "plain_text", "text": f"🔴 HIGH: {title}", "emoji": False}


def test_an_alert_is_one_message_with_its_changes_below(slack: FakeSlack, tools: Tools) -> None:
    ref = opened(slack, tools)
    assert send(slack, tools, UPDATED, ref) == Delivered(ref=ref)
    assert send(slack, tools, RESOLVED, ref) == Delivered(ref=ref)

    alert, *replies = slack.messages
    assert (alert.text, alert.edits) == ("✅ RESOLVED: Brute force from 203.0.113.9", 2)
    seen = "2030-01-02 02:54:05 to 03:03:05 UTC"
    assert [(reply.thread_ts, reply.text) for reply in replies] == [
        (ref, f"🟣 *Updated*: 9 matches, {seen}, severity critical"),
        (ref, f"✅ *Resolved*: 9 matches, {seen}, severity high\n`ann: a ˋtestˋ`"),
    ]


def test_without_a_first_message_a_change_is_a_message_of_its_own(slack: FakeSlack, tools: Tools) -> None:
    assert send(slack, tools, RESOLVED) == Delivered(ref=slack.messages[0].ts)
    assert slack.messages[0].text.startswith("✅ RESOLVED")


def test_a_message_that_somebody_deleted_is_posted_anew(slack: FakeSlack, tools: Tools) -> None:
    ref = opened(slack, tools)
    slack.delete(ref)
    outcome = send(slack, tools, UPDATED, ref)
    assert outcome == Delivered(ref=slack.messages[0].ts)
    assert slack.messages[0].text == "🟣 CRITICAL: Brute force from 203.0.113.9"


def test_where_messages_must_not_be_edited_the_reply_is_enough(tools: Tools) -> None:
    def strict(request: Request) -> Answer:
        return said("edit_window_closed") if request.path.endswith("chat.update") else Answer(200, b'{"ok": true}')

    with serving(strict) as server:
        soc = destination(tools, server.url)
        assert soc.send(UPDATED, soc.render(UPDATED), "1.000001") == Delivered(ref="1.000001")
    assert [request.path for request in server.requests] == ["/chat.update", "/chat.postMessage"]


def test_an_edit_that_fails_is_tried_again_and_replies_nothing(slack: FakeSlack, tools: Tools) -> None:
    ref = opened(slack, tools)
    slack.faults.expect(Fault.BROKEN)
    assert isinstance(send(slack, tools, UPDATED, ref), Retry)
    assert len(slack.messages) == 1


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.SLOW])
def test_a_first_message_whose_answer_was_lost_is_found(fault: Fault, slack: FakeSlack, tools: Tools) -> None:
    slack.faults.expect(fault)
    assert isinstance(send(slack, tools, OPENED, timeout=0.3), Unknown)
    assert destination(tools, slack.url).find(OPENED) == Delivered(ref=slack.messages[0].ts)


def test_a_reply_whose_answer_was_lost_is_found(slack: FakeSlack, tools: Tools) -> None:
    ref = opened(slack, tools)
    slack.faults.seconds = 0
    slack.faults.expect(Fault.SLOW, Fault.LOST_ANSWER)
    assert isinstance(send(slack, tools, UPDATED, ref), Unknown)
    assert destination(tools, slack.url).find(UPDATED) == Delivered(ref=ref)


def test_an_edit_alone_is_not_taken_for_the_reply(slack: FakeSlack, tools: Tools) -> None:
    ref = opened(slack, tools)
    slack.faults.expect(Fault.LOST_ANSWER)
    assert isinstance(send(slack, tools, UPDATED, ref), Unknown)
    assert destination(tools, slack.url).find(UPDATED) is None


def test_what_never_arrived_is_not_found(slack: FakeSlack, tools: Tools) -> None:
    soc = destination(tools, slack.url)
    assert soc.find(OPENED) is None
    send(slack, tools, a_notification(delivery_id="other", alert_id="other"))
    assert soc.find(OPENED) is None


def test_it_is_found_though_the_clocks_differ_and_the_alert_is_old(tools: Tools) -> None:
    times = iter([OPENED.first_match_at, UPDATED.at])
    with fake_slack(TOKEN, CHANNEL, lambda: (next(times) - timedelta(minutes=4)).timestamp()) as slack:
        soc, ref = destination(tools, slack.url), opened(slack, tools)
        assert soc.find(OPENED) == Delivered(ref=ref)
        send(slack, tools, UPDATED, ref)
        assert soc.find(UPDATED) == Delivered(ref=ref)


def test_in_a_long_thread_the_latest_replies_are_looked_through(tools: Tools) -> None:
    times = iter(range(20))
    with fake_slack(TOKEN, CHANNEL, lambda: (NOW - timedelta(minutes=14 - next(times))).timestamp()) as slack:
        ref = opened(slack, tools)
        for number in range(12):
            send(slack, tools, a_notification(delivery_id=f"x{number}", kind=Kind.UPDATED), ref)
        send(slack, tools, UPDATED, ref)
        slack.page_size = 2
        assert destination(tools, slack.url).find(UPDATED) == Delivered(ref=ref)


def test_it_is_found_on_a_later_page(slack: FakeSlack, tools: Tools) -> None:
    ref = opened(slack, tools)
    for number in range(7):
        send(slack, tools, a_notification(delivery_id=f"x{number}", alert_id=f"x{number}"))
    slack.page_size = 2
    assert destination(tools, slack.url).find(OPENED) == Delivered(ref=ref)


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.RATE_LIMITED, Fault.LOST_ANSWER])
def test_while_slack_does_not_tell_nothing_is_sent_twice(fault: Fault, slack: FakeSlack, tools: Tools) -> None:
    slack.faults.expect(fault)
    found = destination(tools, slack.url).find(OPENED)
    assert isinstance(found, Unknown)
    assert found.reason.startswith("whether it arrived cannot be looked up: ")


def test_a_bot_that_may_not_look_sends_again(tools: Tools) -> None:
    with serving(lambda _: said("missing_scope")) as server:
        assert destination(tools, server.url).find(OPENED) is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("ratelimited", Retry("Slack said ratelimited")),
        ("fatal_error", Unknown("Slack said fatal_error")),
        ("internal_error", Unknown("Slack said internal_error")),
        ("not_in_channel", Rejected("Slack said not_in_channel: invite the bot to the channel")),
        ("invalid_blocks", Rejected("Slack said invalid_blocks")),
        ("Token XOXB-1 is bad", Rejected("Slack said no, without a reason")),
    ],
)
def test_what_slack_says_with_a_200(error: str, outcome: Outcome, tools: Tools) -> None:
    with serving(lambda _: said(error)) as server:
        soc = destination(tools, server.url)
        assert soc.send(OPENED, soc.render(OPENED), "") == outcome


@pytest.mark.parametrize("body", [b"<h1>Welcome</h1>", b"[]", b"{}", b"", b"\xff"])
def test_an_answer_of_somebody_else_is_no_delivery(body: bytes, tools: Tools) -> None:
    with serving(lambda _: Answer(200, body)) as server:
        soc = destination(tools, server.url)
        assert soc.send(OPENED, soc.render(OPENED), "") == Rejected(
            "its answer is none of Slack's: `url` is not that of Slack's Web API"
        )


def test_an_endless_answer_is_not_read(tools: Tools) -> None:
    with serving(lambda _: Answer(200, b" " * 20_000_000)) as server:
        soc = destination(tools, server.url)
        assert soc.send(OPENED, soc.render(OPENED), "") == Unknown("its answer is too long")


def test_a_limit_is_respected(slack: FakeSlack, tools: Tools) -> None:
    slack.faults.expect(Fault.RATE_LIMITED)
    assert send(slack, tools, OPENED) == Retry("it answered 429 Too Many Requests", after=timedelta(seconds=7))


def test_a_token_that_is_refused_needs_a_person(slack: FakeSlack, tools: Tools) -> None:
    slack.faults.expect(Fault.UNAUTHORISED)
    assert send(slack, tools, OPENED) == Rejected("Slack said invalid_auth: `token` is not valid")


def test_nobody_is_mentioned_and_nothing_is_linked(slack: FakeSlack, tools: Tools) -> None:
    text = "<!channel> @everyone <https://evil.example|click> `x` *bold* http://evil.example & co"
    send(slack, tools, a_notification(title=text, dedupe=f"{text}!", runbook=text, tags=(text,), context={text: text}))
    page = tools.http.get(slack.url.removesuffix("api/")).text
    assert 'class="mention"' not in page
    assert "evil.example" not in page
    assert page.count("<a ") == 1  # the detection's own reference
    assert "&lt;!channel&gt;" in page
    _, facts, evidence, *_ = slack.messages[0].blocks
    values = dict(field["text"].split("\n") for field in facts["fields"])
    theirs = [value for label, value in values.items() if label in ("*About*", "*Tags*")]
    assert len(theirs) == 2
    for span in (*theirs, *evidence["text"]["text"].split("  ")):
        assert span.count("`") == 2, "a code span ends where a log says"
        assert not set("<>") & set(span)


def test_the_page_shows_what_slack_would_obey(slack: FakeSlack, tools: Tools) -> None:
    tools.http.post(
        f"{slack.url}chat.postMessage",
        json={"channel": CHANNEL, "text": "<!channel> &lt;script&gt; *x*"},
        headers={"authorization": f"Bearer {TOKEN}"},
    )
    page = tools.http.get(slack.url.removesuffix("api/")).text
    assert '<b class="mention">&lt;!channel&gt;</b> &lt;script&gt; <b>x</b>' in page


def test_check(slack: FakeSlack, tools: Tools) -> None:
    assert destination(tools, slack.url).check() is None
    assert destination(tools, slack.url, token="xoxb-wrong").check() == "Slack said invalid_auth: `token` is not valid"
    assert destination(tools, slack.url, channel="C999").check() == (
        "Slack said channel_not_found: `channel` is not the ID of one that the bot can see; invite it"
    )
    assert slack.messages == []


TEXT = {"type": "mrkdwn", "text": "x"}
PLAIN = {"type": "plain_text", "text": "x"}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "unheard of"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": TEXT}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {**PLAIN, "text": "🔥" * 76}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {**TEXT, "text": ""}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {**TEXT, "text": "x" * 3001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [TEXT] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{**TEXT, "text": "x" * 2001}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": [TEXT] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": PLAIN}, {"type": "section", "text": TEXT}]}, ""),
    ],
)
def test_the_fake_refuses_what_slack_refuses(message: dict[str, Any], error: str) -> None:
    assert wrong_with(message) == error


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": "xoxp-1"}, "this is not a bot's token, which begins with xoxb-"),
        ({"token": "xoxb-1\n"}, "this is not a bot's token"),
        ({"channel": "#alerts"}, "this is not a channel's ID"),
        ({"url": "slack.com"}, "this is not an http:// or https:// address"),
        ({"timeout": 11}, "less than or equal to 10"),
        ({"username": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SlackConfig.model_validate({"token": TOKEN, "channel": CHANNEL, **settings})
