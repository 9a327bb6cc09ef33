"""The pages of the fakes: what a person sees there is what the real service would show."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import yaml

from trapline_plugins.api import Destination, Kind, Tools
from trapline_plugins.builtin import register_destinations
from trapline_plugins.fakes.jira import FakeIssue
from trapline_plugins.fakes.jira_page import page as jira_page
from trapline_plugins.fakes.slack import FakeMessage
from trapline_plugins.fakes.slack_page import page as slack_page
from trapline_plugins.samples import NOW, a_notification

SCRIPT = "<script>document.title = 'pwned'</script><img src=x onerror=\"document.title = 'pwned'\">"
LAST = re.compile("^    (project|channel|routing_key): .*\n", re.MULTILINE)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def in_slack(*blocks: dict[str, Any], text: str = "", **more: Any) -> str:
    return slack_page([FakeMessage("1893553445.000001", text, list(blocks), {}, **more)]).body.decode()


def in_jira(*blocks: dict[str, Any], **more: Any) -> str:
    document = {"version": 1, "type": "doc", "content": list(blocks)}
    fields = {"summary": "a summary", "description": document, "issuetype": {"name": "Task"}, "labels": ["a-label"]}
    return jira_page([FakeIssue("SEC-1", fields, **more)]).body.decode()


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def paragraph(text: str, *marks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": text, "marks": list(marks)}]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* and _slanted_", "<b>bold</b> and <i>slanted</i>"),
        ("2*3*4 and a_b_c", "2*3*4 and a_b_c"),
        ("`*code* &lt;b&gt;`", "<code>*code* &lt;b&gt;</code>"),
        ("before\n&gt; a quote", "before\n<blockquote>a quote</blockquote>"),
        ("```a *block*\nof code```", "<pre>a *block*\nof code</pre>"),
        ("<https://example.com/?a=1&amp;b=2>", '<a href="https://example.com/?a=1&amp;b=2">'),
        ("<!channel> `<@U1>`", '<b class="mention">&lt;!channel&gt;</b> `<b class="mention">&lt;@U1&gt;</b>`'),
        (SCRIPT, '<b class="mention">&lt;script&gt;</b>document.title'),
    ],
)
def test_slack_shows_text_as_it_means_it(text: str, shown: str) -> None:
    assert shown in in_slack(section(text))


def test_slack_shows_every_block() -> None:
    field = {"type": "mrkdwn", "text": "*Matches*\n5"}
    shown = in_slack(
        {"type": "header", "text": {"type": "plain_text", "text": "*a* <header>"}},
        {"type": "section", "fields": [field, field]},
        {"type": "divider"},
        {"type": "context", "elements": [field]},
    )
    assert "<h3>*a* &lt;header&gt;</h3>" in shown
    one = '<div class="text"><b>Matches</b>\n5</div>'
    assert f'<div class="fields">{one}{one}</div><hr><div class="context">{one}</div>' in shown


def test_slack_shows_threads_and_edits() -> None:
    alert = FakeMessage("1.000001", "alert", [], {}, edits=1)
    other = FakeMessage("2.000001", "other", [], {})
    reply = FakeMessage("3.000001", "reply", [], {}, thread_ts="1.000001")
    shown = slack_page([alert, other, reply]).body.decode()
    assert shown.index("alert</div>") < shown.index("(edited)") < shown.index("1 reply") < shown.index("reply</div>")
    assert shown.index("reply</div>") < shown.index("other</div>")
    assert shown.count("(edited)") == 1


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (paragraph("<b>&"), "<p>&lt;b&gt;&amp;</p>"),
        (paragraph("x", {"type": "code"}), "<p><code>x</code></p>"),
        (paragraph("x", {"type": "link", "attrs": {"href": 'https://a.b/"'}}), '<a href="https://a.b/&quot;">x</a>'),
        ({"type": "heading", "attrs": {"level": 3}, "content": [{"type": "text", "text": "x"}]}, "<h3>x</h3>"),
        (
            {"type": "panel", "attrs": {"panelType": "error"}, "content": [paragraph("x")]},
            '<div class="panel error"><p>x</p></div>',
        ),
        (
            {"type": "table", "content": [{"type": "tableRow", "content": [{"type": "tableCell", "content": []}]}]},
            "<table><tr><td></td></tr></table>",
        ),
        (
            {"type": "paragraph", "content": [{"type": "mention", "attrs": {"id": "<1>"}}, {"type": "hardBreak"}]},
            '<p><b class="mention">{&#x27;id&#x27;: &#x27;&lt;1&gt;&#x27;}</b><br></p>',
        ),
        (
            {"type": "paragraph", "content": [{"type": "status", "attrs": {"text": "HIGH", "color": "red"}}]},
            '<span class="lozenge red">HIGH</span>',
        ),
    ],
)
def test_jira_shows_every_node(block: dict[str, Any], shown: str) -> None:
    assert shown in in_jira(block)


def test_jira_shows_fields_and_comments() -> None:
    comments = [{"type": "doc", "version": 1, "content": [paragraph(text)]} for text in ("first", "second")]
    shown = in_jira(paragraph("x"), status="Done", comments=comments)
    assert '<span class="state done">Done</span>' in shown
    assert '<span class="label">a-label</span>' in shown
    assert shown.index("second") < shown.index("first")


@contextmanager
def by_hand(module: str) -> Iterator[str]:
    """What a fake says that was started in a terminal."""
    command = [sys.executable, "-W", "error", "-m", f"trapline_plugins.fakes.{module}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = ""
            while not LAST.search(said):
                line = process.stdout.readline()
                assert line, f"it ended after {said!r}"
                said += line
            yield said
        finally:
            process.terminate()


@pytest.mark.parametrize("module", ["slack", "jira", "pagerduty"])
def test_a_fake_that_is_run_by_hand_takes_what_it_says(module: str) -> None:
    with by_hand(module) as said, httpx.Client(timeout=5, trust_env=False) as http:
        told, _, config = said.partition("In trapline.yml:\n")
        settings = yaml.safe_load(config)["destinations"][f"fake_{module}"]
        name = settings.pop("type")
        kind: type[Destination[Any]] = next(one for one in register_destinations() if one.kind == name)
        destination = kind("fake", kind.config_model.model_validate(settings), Tools(http, lambda: NOW, pytest.fail))
        assert destination.check() is None
        ref = ""
        for notification in (a_notification(), a_notification(kind=Kind.RESOLVED, delivery_id="6f2a1d9c")):
            outcome = destination.send(notification, destination.render(notification), ref)
            ref = getattr(outcome, "ref", "")
        page = http.get(told.split()[-1])
    assert "Brute force from 203.0.113.9" in page.text
    assert "resolved" in page.text.lower()


@pytest.mark.parametrize("module", ["slack", "jira"])
def test_a_port_that_is_taken_is_told(module: str) -> None:
    with by_hand("slack") as said:
        port = said.split("//127.0.0.1:")[1].split("/")[0]
        command = [sys.executable, "-m", f"trapline_plugins.fakes.{module}", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert f"the port {port} cannot be listened on: Address already in use" in done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: whether a browser runs what a log says is NOT tested")
@pytest.mark.parametrize(
    "shown", [in_slack(section(SCRIPT), text=SCRIPT), in_jira(paragraph(SCRIPT))], ids=["slack", "jira"]
)
def test_nothing_that_a_log_says_runs_in_a_browser(shown: str, tmp_path: Any) -> None:
    page = tmp_path / "page.html"
    page.write_text(shown)  # without the header that would keep a browser from running it all the same
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=30)
    assert "<title>Slack, a fake</title>" in done.stdout or "<title>Jira, a fake</title>" in done.stdout, done.stderr
    assert "pwned" in done.stdout
