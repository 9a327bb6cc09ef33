"""`python -m tests.docs.pictures`: takes the pictures of docs/how-to/see-a-message-before-you-send-it.md.

It needs Chromium, and a font with coloured emoji. Take them anew when what a message says changes, and look at them.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from trapline_plugins.api import Delivered, Destination, Kind, Tools
from trapline_plugins.fakes.jira import fake_jira
from trapline_plugins.fakes.slack import fake_slack
from trapline_plugins.jira import Jira, JiraConfig
from trapline_plugins.samples import NOW, a_notification
from trapline_plugins.slack import Slack, SlackConfig

PICTURES = Path(__file__).parents[2] / "docs/pictures"

OPENED = a_notification(
    title="203.0.113.9 - Elevated login failures",
    description="Many failed logins from one address within fifteen minutes, which is how passwords are guessed.",
    runbook="1. Look for a login that succeeded from the same address.\n2. Block the address at the edge.",
    false_positives=("A penetration test.", "A script with an expired password."),
    attack=("ta0006:t1110",),
    context={
        "user": {"name": ["root", "ann"]},
        "source": {"ip": "203.0.113.9", "geo": {"country_iso_code": "NL"}},
        "event": {"action": "ConsoleLogin", "outcome": "failure"},
    },
)
LATER: dict[str, Any] = {"match_count": 23, "last_match_at": NOW + timedelta(minutes=20)}
STORY = (
    OPENED,
    replace(OPENED, delivery_id="6f2a1d9c", kind=Kind.UPDATED, severity="critical", **LATER),
    replace(
        OPENED,
        delivery_id="7a3b2e0d",
        kind=Kind.RESOLVED,
        severity="critical",
        resolution="ann: a penetration test",
        **LATER,
    ),
)


def main() -> None:
    """Has the same alert opened, updated and resolved in both fakes, and photographs them."""
    PICTURES.mkdir(exist_ok=True)
    with ExitStack() as ends:
        tools = Tools(ends.enter_context(httpx.Client(trust_env=False)), lambda: NOW, print)
        slack, jira = ends.enter_context(fake_slack()), ends.enter_context(fake_jira())
        minutes = iter(range(len(STORY)))
        slack.clock = lambda: (NOW + timedelta(minutes=next(minutes))).timestamp()
        slack_config = SlackConfig.model_validate({"url": slack.url, "token": slack.token, "channel": slack.channel})
        known = {"url": jira.url, "email": jira.email, "token": jira.token, "project": jira.project}
        jira_config = JiraConfig.model_validate({**known, "priorities": {"high": "High", "critical": "Highest"}})
        _tell(Slack("slack", slack_config, tools))
        _tell(Jira("jira", jira_config, tools))
        _photograph(slack.url.removesuffix("api/"), "slack.png", "820,1130")
        _photograph(jira.url, "jira.png", "1120,1450")


def _tell(destination: Destination[Any]) -> None:
    ref = ""
    for notification in STORY:
        outcome = destination.send(notification, destination.render(notification), ref)
        assert isinstance(outcome, Delivered), outcome
        ref = outcome.ref


def _photograph(url: str, name: str, size: str) -> None:
    browser = shutil.which("chromium") or "google-chrome"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}")
    subprocess.run([browser, *options, f"--screenshot={PICTURES / name}", url], check=True, capture_output=True)


if __name__ == "__main__":
    main()
