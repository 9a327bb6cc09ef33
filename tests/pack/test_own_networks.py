"""What `lib/organization.py` says of one's own networks is heeded, once it is filled in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.pack.conftest import PACK, load


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr("lib.organization.NETWORKS", ("192.0.2.0/24", "2001:db8::/32"))


def logins(*addresses):
    return [
        {
            "ts": datetime(2026, 11, 22, 10, minute, tzinfo=UTC),
            "event": {"provider": "signin.amazonaws.com", "action": "ConsoleLogin", "outcome": "success"},
            "user": {"name": "alice"},
            "source": {"ip": address},
        }
        for minute, address in enumerate(addresses)
    ]


def found(name, records):
    return [match["record"]["source"]["ip"] for match in load(PACK / name).matches(records)]


def test_a_login_from_outside_of_them_is_found(listed):
    records = logins("192.0.2.7", "2001:db8::7", "203.0.113.66", None)
    assert found("console_login_outside_own_networks", records) == ["203.0.113.66"]


def test_without_a_list_no_login_is_from_outside():
    assert found("console_login_outside_own_networks", logins("203.0.113.66")) == []


def test_they_do_not_count_among_many_networks(listed):
    name = "console_login_from_many_networks"
    assert found(name, logins("192.0.2.7", "2001:db8::7", "203.0.113.66", "198.51.100.7")) == []
    assert found(name, logins("203.0.113.66", "198.51.100.7", "2001:db9::7")) == ["2001:db9::7"]
