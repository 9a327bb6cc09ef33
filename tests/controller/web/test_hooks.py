"""The forges' webhooks as pure functions: whoever cannot show the secret is refused, whatever they send."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.controller.web.site import SECRET, sign
from trapline.web.hooks import FORGES, Accepted, Ignored, Ping, Refused, Verdict

SIGNED = {"github": ["x-hub-signature-256"], "generic": ["x-hub-signature-256", "x-hub-signature"]}
SHOWN = {"gitlab": ["x-gitlab-token"], "generic": ["authorization"]}
ONE_EACH = [("github", "x-hub-signature-256"), ("gitlab", "x-gitlab-token"), ("generic", "authorization")]

bodies = st.binary(max_size=200) | st.builds(
    lambda ref: json.dumps({"ref": ref}).encode(), st.text(max_size=20) | st.none() | st.integers()
)
texts = st.text(st.characters(max_codepoint=255), max_size=100)
ways = st.sampled_from(
    [(forge, header) for table in (SIGNED, SHOWN) for forge, headers in table.items() for header in headers]
)


def shown(forge: str, header: str, body: bytes, secret: bytes = SECRET) -> dict[str, str]:
    """The header by which somebody who knows the secret shows it."""
    if header in SIGNED.get(forge, []):
        return {header: sign(body, secret)}
    return {header: ("Bearer " if forge == "generic" else "") + secret.decode("latin-1")}


def judged(forge: str, headers: Mapping[str, str], body: bytes, *, ref: str = "main") -> Verdict:
    return FORGES[forge](headers, body, secret=SECRET, ref=ref)


@given(ways, bodies)
def test_whoever_knows_the_secret_is_believed(way: tuple[str, str], body: bytes) -> None:
    assert not isinstance(judged(way[0], shown(*way, body), body), Refused)


@given(ways, bodies, st.binary(min_size=1, max_size=40))
def test_another_secret_is_refused(way: tuple[str, str], body: bytes, secret: bytes) -> None:
    assume(secret != SECRET)
    assert isinstance(judged(way[0], shown(*way, body, secret), body), Refused)


@given(
    st.sampled_from(sorted(FORGES)),
    st.dictionaries(
        st.sampled_from(["x-hub-signature-256", "x-hub-signature", "x-gitlab-token", "authorization"]),
        texts | st.sampled_from(["sha256=", "Bearer ", "Bearer", "sha1=" + "0" * 40, sign(b"other")]) | st.text(),
    ),
    bodies,
)
def test_nothing_made_up_is_accepted(forge: str, headers: dict[str, str], body: bytes) -> None:
    assume(SECRET.decode() not in "".join(headers.values()) and sign(body) not in headers.values())
    assert isinstance(judged(forge, headers, body), Refused)


@given(st.data(), ways, st.binary(min_size=1, max_size=200))
def test_a_flipped_byte_is_refused(data: st.DataObject, way: tuple[str, str], body: bytes) -> None:
    headers = shown(*way, body)
    flip = data.draw(st.integers(1, 255), label="flip")
    if way[1] in SIGNED.get(way[0], []) and data.draw(st.booleans(), label="in the body"):
        at = data.draw(st.integers(0, len(body) - 1), label="at")
        body = body[:at] + bytes([body[at] ^ flip]) + body[at + 1 :]
    else:
        text = headers[way[1]].encode("latin-1")
        at = data.draw(st.integers(0, len(text) - 1), label="at")
        headers = {way[1]: (text[:at] + bytes([text[at] ^ flip]) + text[at + 1 :]).decode("latin-1")}
    assert isinstance(judged(way[0], headers, body), Refused)


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"ref": "refs/heads/main"}', Accepted()),
        (b'{"ref": "main"}', Accepted()),
        (b'{"ref": "refs/tags/main"}', Accepted()),
        (b'{"ref": "refs/heads/topic"}', Ignored("refs/heads/topic")),
        (b'{"ref": "refs/heads/main2"}', Ignored("refs/heads/main2")),
        (b'{"ref": ""}', Ignored("")),
        (b'{"ref": null}', Accepted()),
        (b'{"ref": ["refs/heads/topic"]}', Accepted()),
        (b'{"zen": "no ref"}', Accepted()),
        (b'["refs/heads/topic"]', Accepted()),
        (b"payload=%7B%7D", Accepted()),
        (b"\xff\xfe", Accepted()),
        (b"", Accepted()),
        (b"[" * 200_000, Accepted()),
        (b'{"ref": 1' + b"0" * 5000 + b"}", Accepted()),
    ],
)
def test_only_a_push_to_another_ref_is_ignored(body: bytes, verdict: Verdict) -> None:
    for forge, header in (
        ("github", "x-hub-signature-256"),
        ("gitlab", "x-gitlab-token"),
        ("generic", "authorization"),
    ):
        assert judged(forge, shown(forge, header, body), body) == verdict


def test_a_full_ref_is_followed_by_its_full_name() -> None:
    for pushed, verdict in (("refs/tags/v1", Accepted()), ("refs/heads/v1", Ignored("refs/heads/v1"))):
        body = json.dumps({"ref": pushed}).encode()
        assert judged("github", shown("github", "x-hub-signature-256", body), body, ref="refs/tags/v1") == verdict


def test_head_follows_any_branch() -> None:
    body = b'{"ref": "refs/heads/trunk"}'
    for forge, header in ONE_EACH:
        assert judged(forge, shown(forge, header, body), body, ref="HEAD") == Accepted()


def test_a_ping_is_believed_only_with_the_sign() -> None:
    headers = {"x-github-event": "ping"}
    assert isinstance(judged("github", headers, b"{}"), Refused)
    assert judged("github", {**headers, "x-hub-signature-256": sign(b"{}")}, b"{}") == Ping()


def test_a_refusal_says_what_was_expected_and_nothing_secret() -> None:
    for forge, headers in (("github", ["X-Hub-Signature-256"]), ("gitlab", ["X-Gitlab-Token"])):
        verdict = judged(forge, {}, b"{}")
        assert isinstance(verdict, Refused)
        assert all(header in verdict.expected for header in headers)
        assert SECRET.decode() not in verdict.expected
        assert sign(b"{}") not in verdict.expected


def test_every_comparison_takes_the_same_time_whatever_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append(expected)
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for forge, header in (
        ("github", "x-hub-signature-256"),
        ("gitlab", "x-gitlab-token"),
        ("generic", "authorization"),
    ):
        assert isinstance(judged(forge, shown(forge, header, b""), b""), Refused)
    assert compared == [sign(b"").encode(), SECRET, b"Bearer " + SECRET]
