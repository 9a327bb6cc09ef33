"""The official pack by the commands of its users: it is valid without a remark, and what it promises holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.network  # some detections have requirements


def test_it_is_valid_without_a_remark(trapline: Callable[..., Any]) -> None:
    done = trapline("validate", "--resolve", "--json", "detections", cwd=PROJECT)
    assert done.code == 0, done.err
    assert done.json["problems"] == []


def test_every_case_holds_and_the_cases_leave_little_out(trapline: Callable[..., Any]) -> None:
    done = trapline("test", "--sandbox", "process", "--min-coverage", 90, "detections", cwd=PROJECT, timeout=600)
    assert done.code == 0, done.out + done.err
