"""The `console` destination: a readable block of a few lines on the controller's terminal."""

from __future__ import annotations

from pydantic import Field

from trapline_plugins.api import Delivered, Destination, DestinationConfig, Kind, Notification, Outcome, Retry
from trapline_plugins.story import span
from trapline_plugins.text import lines, one_line

_LABEL_WIDTH = 11
_MAX_COMMAND = 4000  # a replay command that is cut is worse than a long line
_COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36", "notice": "34", "info": "37"}
_GREEN = "32"


class ConsoleConfig(DestinationConfig):
    """The settings of a `console` destination."""

    color: bool = Field(False, description="Show the severity in colour.")


class Console(Destination[ConsoleConfig]):
    """Writes every notification to the terminal. What attackers wrote cannot move the cursor or fake a line."""

    kind = "console"
    config_model = ConsoleConfig
    at_once = 1  # what is read from top to bottom comes in its order

    def render(self, notification: Notification) -> str:
        n = notification
        headline = f"{self._headword(n)}  {one_line(n.title, 200) or '(no title)'}"
        facts = [
            ("alert", f"{n.kind.value}, {one_line(n.alert_id, 100)}"),
            ("detection", one_line(n.detection, 200)),
            ("matches", f"{n.match_count}, {span(n.first_match_at, n.last_match_at)}"),
            ("dedupe", one_line(n.dedupe, 200)),
            ("runbook", _indented(n.runbook or "")),
            ("replay", one_line(n.provenance.replay, _MAX_COMMAND)),
        ]
        return "\n".join([headline, *(f"  {label:<{_LABEL_WIDTH}}{text}" for label, text in facts if text), ""])

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        try:
            self.tools.write(rendered)
        except OSError as error:
            return Retry(f"the terminal cannot be written to: {error.strerror or type(error).__name__}")
        return Delivered()

    def _headword(self, notification: Notification) -> str:
        """The severity; of an alert that is over, that it is: at a glance it must not look like a new one."""
        over = notification.kind is Kind.RESOLVED
        word, colour = ("resolved", _GREEN) if over else (notification.severity, _COLOURS[notification.severity])
        return f"\x1b[{colour}m{word.upper()}\x1b[0m" if self.config.color else word.upper()


def _indented(text: str) -> str:
    """Later lines start below the first one's text, so that none can pass for a label of ours."""
    return ("\n" + " " * (2 + _LABEL_WIDTH)).join(lines(text))
