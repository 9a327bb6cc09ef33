"""The fake Jira's issues as a web page, for a person to judge whether an issue reads well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from trapline_plugins.fake_server import Answer
from trapline_plugins.fakes.pages import answer_page, literal


class Issue(Protocol):
    """What is shown of an issue."""

    key: str
    fields: dict[str, Any]
    status: str
    comments: list[dict[str, Any]]


_STYLE = """
body { font: 14px/1.5 "Atlassian Sans", "Segoe UI", Roboto, sans-serif; color: #172b4d; margin: 2em; max-width: 70em }
article { display: grid; grid-template-columns: minmax(0, 1fr) 17em; gap: 0 2.5em; margin-bottom: 3em;
  border-bottom: 1px solid #dfe1e6; padding-bottom: 2em }
.key { color: #626f86; grid-column: 1 / -1 }
h1 { font-size: 24px; font-weight: 600; line-height: 1.2; margin: .3em 0 .8em; grid-column: 1 / -1;
  overflow-wrap: anywhere }
h2 { font-size: 16px; margin: 1.4em 0 .4em }
h3 { font-size: 16px; margin: 1.2em 0 .3em }
p { margin: .5em 0; overflow-wrap: anywhere }
aside { border: 1px solid #dfe1e6; border-radius: 4px; padding: .6em 1em; align-self: start }
dt { color: #626f86; font-size: 12px; font-weight: 600; margin-top: .8em }
dd { margin: .1em 0; overflow-wrap: anywhere }
.state { background: #dfe1e6; border-radius: 3px; padding: 2px 8px; font-weight: 600 }
.state.done { background: #1f845a; color: white }
.label { background: #f1f2f4; border-radius: 3px; padding: 1px 5px; margin: 0 3px 3px 0; display: inline-block }
table { border-collapse: collapse; width: 100%; table-layout: fixed; margin: .5em 0 }
th, td { border: 1px solid #c1c7d0; padding: 4px 8px; text-align: left; vertical-align: top }
th { background: #f4f5f7; width: 30% }
td p, th p, li p { margin: 0 }
code { background: #f1f2f4; border-radius: 3px; padding: 1px 4px; font: 12px/1.5 monospace }
pre { background: #f7f8f9; padding: 8px 12px; border-radius: 3px; overflow-x: auto; font: 12px/1.5 monospace }
.panel { border-radius: 3px; padding: 6px 14px; margin: .5em 0 }
.panel.error { background: #ffeceb } .panel.warning { background: #fff7d6 } .panel.info { background: #e9f2ff }
.panel.success { background: #dcfff1 } .panel.note { background: #f3f0ff } .panel.tip { background: #dcfff1 }
.lozenge { border-radius: 3px; padding: 0 5px; font-size: 11px; font-weight: 700; text-transform: uppercase }
.lozenge.red { background: #ffd5d2; color: #ae2e24 } .lozenge.yellow { background: #f8e6a0; color: #7f5f01 }
.lozenge.blue { background: #cce0ff; color: #0055cc } .lozenge.green { background: #baf3db; color: #216e4e }
.lozenge.neutral { background: #dcdfe4; color: #44546f } .lozenge.purple { background: #dfd8fd; color: #5e4db2 }
.mention { background: #fc6 }
.comment { border-left: 2px solid #dfe1e6; padding-left: 1em; margin: .8em 0 }
.who { color: #626f86; font-size: 12px }
"""

_TAGS = {
    "paragraph": "p",
    "blockquote": "blockquote",
    "table": "table",
    "tableRow": "tr",
    "tableHeader": "th",
    "tableCell": "td",
    "bulletList": "ul",
    "orderedList": "ol",
    "listItem": "li",
    "codeBlock": "pre",
}
_MARK_TAGS = {"strong": "b", "em": "i", "code": "code", "strike": "s", "underline": "u"}


def page(issues: Iterable[Issue]) -> Answer:
    """Every issue, the newest first: its text and comments on the left, its fields on the right."""
    return answer_page("Jira, a fake", _STYLE, "".join(_article(issue) for issue in reversed(list(issues))))


def _article(issue: Issue) -> str:
    comments = "".join(
        f'<div class="comment"><div class="who">Trapline commented</div>{_node(body)}</div>'
        for body in reversed(issue.comments)
    )
    return (
        f'<article><div class="key">{literal(issue.key)}</div><h1>{literal(issue.fields["summary"])}</h1>'
        f"<main><h2>Description</h2>{_node(issue.fields['description'])}"
        f"<h2>Activity</h2>{comments or 'No comments.'}</main>{_fields(issue)}</article>"
    )


def _fields(issue: Issue) -> str:
    done = " done" if issue.status == "Done" else ""
    labels = "".join(f'<span class="label">{literal(label)}</span>' for label in issue.fields.get("labels", []))
    shown = {
        "Status": f'<span class="state{done}">{literal(issue.status)}</span>',
        "Type": literal(issue.fields["issuetype"]["name"]),
        "Priority": literal(issue.fields.get("priority", {}).get("name", "Medium")),
        "Labels": labels,
    }
    return f"<aside><dl>{''.join(f'<dt>{name}<dd>{value}' for name, value in shown.items())}</dl></aside>"


def _node(node: Mapping[str, Any]) -> str:
    """A node as Jira shows it: what would be a link or a mention there is one here."""
    kind, attributes = node["type"], node.get("attrs", {})
    inner = "".join(_node(child) for child in node.get("content", []))
    match kind:
        case "text":
            return _text(node)
        case "doc":
            return inner
        case "hardBreak" | "rule":
            return "<br>" if kind == "hardBreak" else "<hr>"
        case "heading":
            return f"<h3>{inner}</h3>"
        case "panel":
            return f'<div class="panel {literal(attributes["panelType"])}">{inner}</div>'
        case "status":
            return f'<span class="lozenge {literal(attributes["color"])}">{literal(attributes["text"])}</span>'
        case "mention" | "emoji" | "inlineCard":
            return f'<b class="mention">{literal(attributes)}</b>'
    return f"<{_TAGS[kind]}>{inner}</{_TAGS[kind]}>"


def _text(node: Mapping[str, Any]) -> str:
    shown = literal(node["text"])
    for mark in node.get("marks", []):
        if mark["type"] == "link":
            shown = f'<a href="{literal(mark["attrs"]["href"])}">{shown}</a>'
        else:
            shown = f"<{_MARK_TAGS[mark['type']]}>{shown}</{_MARK_TAGS[mark['type']]}>"
    return shown
