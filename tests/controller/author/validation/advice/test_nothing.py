"""Titles and dedupe keys that say "None": what is said, and what is passed over because it may be meant."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from trapline.errors import Problem

Said = Callable[..., list[Problem]]
DETECT = 'def detect(record):\n    return record.deepget("event.action") == "x"\n\n\n'


def title(body: str, more: str = "") -> str:
    return DETECT + more + "def title(record):\n" + textwrap.indent(textwrap.dedent(body), "    ")


def test_the_documents_own_title_is_one(said: Said) -> None:
    [problem] = said(title('user_name = record.deepget("user.name")\nreturn f"{user_name} - Elevated login failures"'))
    assert (problem.path, problem.line, problem.column) == ("detections/one/detect.py", 7, 15)
    assert (problem.severity, problem.code) == ("warning", "none-in-title")
    assert problem.message == 'the title says "None" for a record without user.name'
    assert problem.remedy == 'write `user_name or "unknown"`'


@pytest.mark.parametrize(
    ("imports", "called"), [("from lib.shared import who", "who"), ("from lib import shared", "shared.who")]
)
@pytest.mark.parametrize("fallback", ["", ' or "somebody"'])
def test_what_it_imports_is_looked_through(said: Said, imports: str, called: str, fallback: str) -> None:
    lib = f'def who(r):\n    return r.deepget("user.name"){fallback}\n'
    found = said(f"{imports}\n\n\n" + title(f'return f"{{{called}(record)}} did it"'), lib=lib)
    assert [(one.path, one.code) for one in found] == (
        [] if fallback else [("detections/one/detect.py", "none-in-title")]
    )


def test_what_detect_asks_for_by_what_it_imports_is_there(said: Said) -> None:
    lib = 'def is_bert(r):\n    return r.deepget("user.name") == "bert"\n'
    detect = "from lib.shared import is_bert\n\n\ndef detect(record):\n    return is_bert(record)\n\n\n"
    shown = "def title(record):\n    return f\"{record.deepget('user.name')} did it\"\n"
    assert said(detect + shown, lib=lib) == []


@pytest.mark.parametrize(
    "body",
    [
        "return f\"{record.deepget('user.name')} did it\"",
        "return f\"{record.deepget('user.name')!r:>10}\"",
        'return "%s did it" % record.deepget("user.name")',
        'return "%s did it in %s" % ("somebody", record.deepget("user.name"))',
        'return "{} did it".format(record.deepget("user.name"))',
        'return "{who}".format(who=record["user"]["name"])',
        'return "user " + record.deepget("user.name")',
        'return str(record.deepget("user.name", None))',
        'user = record.get("user")\nreturn f"{user[\'name\']} did it"',
        'return f"{who(record)} did it"',
        "text = f\"{record.deepget('source.ip') or record.deepget('user.name')}\"\nreturn text",
        "return f\"{record.deepget('user.name') if record.deepget('event.x') else 'none'}\"",
    ],
)
def test_a_value_that_may_be_none(said: Said, body: str) -> None:
    helper = 'def who(r):\n    return r.deepget("user.name")\n\n\n'
    [problem] = said(title(body, helper if "who(" in body else ""))
    assert problem.code == "none-in-title"
    assert "for a record without user.name" in problem.message


@pytest.mark.parametrize(
    "body",
    [
        "return f\"{record.deepget('user.name', 'unknown')} did it\"",
        "return f\"{record.deepget('user.name') or 'unknown'} did it\"",
        'return record.deepget("user.name")',  # None is no title, and display_name is one
        'name = record.deepget("user.name")\nif not name:\n    return "x"\nreturn f"{name}"',
        'if record.deepget("user.name"):\n    return f"{record.deepget(\'user.name\')}"\nreturn "x"',
        'name = record.deepget("user.name")\nname = name or "x"\nreturn f"{name}"',
        'name = record.deepget("user.name")\nreturn f"{name}" if name else "x"',
        'name = record.deepget("user.name")\nreturn name and f"{name}"',
        "return f\"{record.deepget('event.action')}\"",  # detect has seen to it
        "return f\"{record['ts']} {record.deepget('event.id')}\"",
        'return f"{len(record)} {record.to_json()}"',
        "return f\"{lookup(record.deepget('user.name'))}\"",
        'return f"{who(record)}"',
        'if user(record):\n    return f"{user(record)}"\nreturn "x"',
        'one = user(record)\nif one is None:\n    return "x"\nreturn f"{one}"',
        "record = other(record)\nreturn f\"{record.deepget('user.name')}\"",
        'return "x" if f"{record.deepget(\'user.name\')}" == "None" else "y"',
    ],
)
def test_what_may_be_meant_is_passed_over(said: Said, body: str) -> None:
    helpers = (
        "def lookup(name):\n    return {}.get(name)\n\n\ndef other(r):\n    return r\n\n\n"
        'def who(r):\n    name = r.deepget("user.name")\n    if name is None:\n        return "nobody"\n'
        "    return name\n\n\n"
        'def user(r):\n    return r.deepget("user.name")\n\n\n'
    )
    assert said(title(body, helpers)) == []


def test_what_the_query_asks_for_is_there(said: Said) -> None:
    script = title("return f\"{record.deepget('user.name')}\"")
    assert said(script, query={"where": "user.name is not null"}) == []
    assert len(said(script, query={"where": "user.id is not null"})) == 1


def test_a_dedupe_key_puts_strangers_together(said: Said) -> None:
    [problem] = said(DETECT + "def dedupe(record):\n    return f\"{record.deepget('user.name')}\"\n")
    assert (problem.code, problem.line) == ("none-in-dedupe", 6)
    assert problem.message.startswith('the dedupe key holds "None", and puts strangers together, for a record without')


def test_what_fails_is_called_so(said: Said) -> None:
    [problem] = said(title('return "user " + record.deepget("user.name")'))
    assert problem.message == "`title` fails for a record without user.name"


def test_what_a_batch_yields(said: Said) -> None:
    script = """\
def detect(records):
    for record in records:
        user = record.deepget("user.name")
        if record.deepget("event.action") == "x":
            yield {"record": record, "title": f"{user} did {record.deepget('event.action')}", "dedupe": user}
"""
    [problem] = said(script, batch=True)
    assert (problem.code, problem.line, problem.column) == ("none-in-title", 5, 50)


def test_columns_count_characters(said: Said) -> None:
    [problem] = said(title("return f\"é {record.deepget('user.name')}\""))
    assert problem.column == 17


def test_functions_that_call_each_other_come_to_an_end(said: Said) -> None:
    helpers = "def a(r):\n    return b(r)\n\n\ndef b(r):\n    return a(r)\n\n\n"
    assert said(title('return f"{a(record)}"', helpers)) == []
