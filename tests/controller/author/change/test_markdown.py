"""The report for a pull request: whatever a title says, it is shown and does nothing, and there is room for it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.controller.author.change.test_pairing import alert
from trapline.author.change.base import Base
from trapline.author.change.compare import Compared, Comparison
from trapline.author.change.differing import Differing, Kind, Version
from trapline.author.change.markdown import MOST, code, markdown, marker
from trapline.author.change.pairing import Pair, Pairing
from trapline.source.tree import Tree
from trapline.window import Window

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC))
HOSTILE = [
    "@everyone look",
    "[click](https://evil.example)",
    "![](https://evil.example/p.png)",
    "<img src=x onerror=alert(1)>",
    "</details></code><script>",
    "`` ` ``` code",
    "`",
    "a | b \\| c",
    "\n\n# a heading\n\n- [ ] a task",
    "<!-- trapline diff: . -->",
    "\u202egnp.exe\x1b[31m",
    "GH-1 #1 org/repo#1 www.evil.example a@b.example",
]


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
KINDS = {
    "heading",
    "paragraph",
    "bullet_list",
    "list_item",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "text",
    "softbreak",
    "code_inline",
    "strong",
    "em",
    "html_block",
    "inline",
}
"""What a report is made of: no link, no picture, no HTML within a line."""
_OURS = re.compile(r"<!-- trapline diff: [\w./-]+ -->|</?details>|</?summary>|<code>[^<>]*</code>")


def compared(title: str, *, name: str = "one", several: int = 1) -> Compared:
    alerts = [alert(f"k{number}", title=title) for number in range(several)]
    other = alert("z", title=title, runbook=title, context={title: title})
    trouble = (title,)
    version = Version(name, f"detections/{name}")
    what = Differing(name, Kind.CHANGED, version, version, (title,))
    return Compared(what, None, None, Pairing(alerts, alerts, [Pair(alert("z", title=title), other)]), trouble, trouble)


def report(*detections: Compared, exceeded: tuple[str, ...] = ()) -> str:
    base = Base("origin/main", "0123456789abcdef", Tree("", {}))
    return markdown(Comparison(base, WINDOW, detections, ["trapline.yml"]), exceeded, place=".")


def rendered(text: str) -> tuple[str, set[str]]:
    """What a reader of the rendered Markdown sees outside of code, and the kinds of things there are."""
    kinds, seen = set(), []
    for block in MARKDOWN.parse(text):
        for token in block.children or [block]:
            kinds.add(token.type)
            if token.type in ("html_block", "text"):
                seen.append(_OURS.sub("", token.content))
    return "\n".join(seen), kinds


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_is_only_ever_code(title: str) -> None:
    for text in (report(compared(title), exceeded=(title,)), report(compared(title, name=title))):
        seen, kinds = rendered(text)
        assert not re.search(r"[@<>\[\]!\\`#\x1b\u202e]|https?:|www\.|GH-", seen), seen
        assert {kind.removesuffix("_open") for kind in kinds if not kind.endswith("_close")} <= KINDS
        assert "\x1b" not in text
        assert text.count("\n#") == 1


@given(st.text(max_size=300))
def test_any_title_is_only_ever_code(title: str) -> None:
    seen, kinds = rendered(f"- before {code(title)} after")
    assert seen in ("before \n after", "before \nnothing\n after")
    assert kinds & {"code_inline", "em_open"}


def test_every_row_of_the_table_has_as_many_cells() -> None:
    rows = [line for line in report(compared("t", name="a | b")).splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}


def test_it_is_never_longer_than_a_comment_may_be() -> None:
    many = [compared("`" * 150, name=f"detection_{number}", several=50) for number in range(500)]
    text = report(*many, exceeded=tuple("x" * 1000 for _ in range(1000)))
    assert 20_000 < len(text) <= MOST
    assert re.search(r"The details of \d+ more are left out", text)
    assert text.count("<details>") == text.count("</details>")
    assert "and 400 more" in text
    assert "and 980 more" in text


def test_it_begins_with_what_a_later_one_knows_it_by() -> None:
    assert report().startswith("<!-- trapline diff: . -->\n\n## ")
    assert marker("a/b --> <x>") == "<!-- trapline diff: a/b------x- -->"


def test_where_nothing_changed_that_is_all_it_says() -> None:
    assert "No detection that runs has changed since `0123456789ab` (`origin/main`)." in report()
