"""Whatever a secret is, it is hidden, and hiding it raises nothing."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from trapline.config.redact import HIDDEN, hide_known_secrets, hide_secrets
from trapline.config.secrets import Secret, resolve_secrets

anything = st.text(st.characters(codec=None), min_size=1, max_size=40).filter(lambda text: text not in HIDDEN)


@given(anything, st.sampled_from(["", "before ", "https://example.com/"]))
def test_no_secret_is_left_and_no_secret_is_too_odd(secret: str, before: str) -> None:
    text = f"{before}{secret}: {secret!r} {json.dumps(secret)}"
    assert secret not in hide_secrets(text, {"token": Secret(secret)}).replace(HIDDEN, "")


def test_a_secret_is_hidden_as_others_write_it() -> None:
    secret = "https://user:pass-word@hooks.example/T00/B 00/tök?sig=a b"
    resolve_secrets({"url": "${env:URL}"}, {"URL": secret})
    for written in (
        repr(secret),
        json.dumps(secret),
        quote(secret, safe=""),
        "/T00/B%2000/t%C3%B6k?sig=a%20b",
        "/T00/B 00/tök",
        "sig=a%20b",
        "pass-word",
    ):
        assert hide_known_secrets(f"POST {written}").strip("'\" ") in (
            f"POST {HIDDEN}",
            f"POST '{HIDDEN}",
            f'POST "{HIDDEN}',
        )


def test_what_is_short_is_hidden_from_those_who_know_it_alone() -> None:
    resolve_secrets({"pin": "${env:PIN}"}, {"PIN": "1234"})
    assert hide_known_secrets("1234 matches") == "1234 matches"
    assert hide_secrets("1234 is wrong", {"pin": Secret("1234")}) == f"{HIDDEN} is wrong"
