"""The built-in destinations, registered as any plugin's are: through an entry point in the group `trapline`."""

from __future__ import annotations

from typing import Any

from trapline_plugins.api import Destination, hookimpl
from trapline_plugins.console import Console
from trapline_plugins.file import File
from trapline_plugins.jira import Jira
from trapline_plugins.mail import Email
from trapline_plugins.pagerduty import PagerDuty
from trapline_plugins.queues import Sns, Sqs
from trapline_plugins.slack import Slack
from trapline_plugins.webhook import Webhook


@hookimpl
def register_destinations() -> list[type[Destination[Any]]]:
    return [Console, Email, File, Jira, PagerDuty, Slack, Sns, Sqs, Webhook]
