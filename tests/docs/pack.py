"""`python -m tests.docs.pack`: writes the reference of the official detections from what they say about themselves.

With `--check` nothing is written, and the exit code is 1 where a page is not what the detections say.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from trapline.author.attack import known, places, version
from trapline.author.coverage.matrix import Matrix, Tactic, matrix_of
from trapline.detection.load import load
from trapline.detection.model import Detection, Mode
from trapline.run.explain import explain
from trapline.source.worktree import read_directory

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "detections"

_PLATFORM = "IaaS"
_ATTACK = "https://attack.mitre.org"
_UP = "../../.."
_CODE = re.compile(r"(^ *```.*?^ *```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_SPECIAL = re.compile(r"[<|]|\*(?! )|(?<!\w)_|_(?!\w)")
_QUERY = re.compile(r"^( *)```\n(?= *(?:SELECT|WITH)\b)", re.MULTILINE)

_INDEX = """\
# The official detections

{enabled} detections, by the techniques of MITRE ATT&CK® that they are about: {covered} of the {possible} that ATT&CK
{version} has for clouds (`{platform}`), in {tactics} of {all_tactics} tactics. A detection stands under each of its
tactics. [See what is covered](../../how-to/see-what-is-covered.md) says how this is counted.

These pages are made from [detections/]({up}/detections) by `python -m tests.docs.pack`. © 2025 The MITRE Corporation.
This work is reproduced and distributed with the permission of The MITRE Corporation.
"""


def written(detections: Sequence[Detection]) -> Mapping[str, str]:
    """Every page by its file name: the index, and one for each detection."""
    return {"README.md": _index(detections), **{_file(one): _page(one) for one in detections}}


def official() -> Sequence[Detection]:
    """The detections of this repository. Raises AssertionError where one does not load."""
    loaded = load(read_directory(ROOT).files)
    assert not loaded.broken, loaded.broken
    return loaded.detections


def stale(pages: Mapping[str, str], folder: Path) -> list[str]:
    """The names of the files that are missing, not as they should be, or of no detection any more."""
    there = {file.name: file.read_text() for file in folder.glob("*.md")}
    return sorted(name for name in {*pages, *there} if pages.get(name) != there.get(name))


def _index(detections: Sequence[Detection]) -> str:
    matrix = matrix_of(detections, platforms=[_PLATFORM])
    head = _INDEX.format(
        enabled=sum(one.config.enabled for one in detections),
        covered=len(matrix.covered),
        possible=len(matrix.possible),
        version=version(),
        platform=_PLATFORM,
        tactics=sum(bool(one.enabled) for one in matrix.tactics),
        all_tactics=len(matrix.tactics),
        up=_UP,
    )
    return "\n".join([head, *_summary(matrix), *(line for one in matrix.tactics for line in _section(one))])


def _summary(matrix: Matrix) -> Iterator[str]:
    yield from _head("tactic", "techniques", "detections")
    for one in matrix.tactics:
        if one.possible or one.enabled:
            anchor = one.itself.name.lower().replace(" ", "-")
            name = f"[{one.itself.name}](#{anchor})" if one.enabled else one.itself.name
            yield _row(name, f"{len(one.covered)} of {len(one.possible)}", str(len(one.enabled)))
    yield ""


def _section(tactic: Tactic) -> Iterator[str]:
    named: dict[str, tuple[Detection, list[str]]] = {}
    for place in (tactic.itself, *tactic.techniques):
        for one in place.detections:
            named.setdefault(one.name, (one, []))[1].append(place.id)
    if not named:
        return
    yield from (f"## {tactic.itself.name}", "")
    yield from _head("detection", "what it finds", "severity", "ATT&CK")
    for _, (one, ids) in sorted(named.items()):
        disabled = "" if one.config.enabled else " (disabled)"
        techniques = ", ".join(_link(key) for key in ids)
        title = _text(one.config.display_name or one.name)
        yield _row(f"[{one.name}]({_file(one)}){disabled}", title, one.config.alert.severity.value, techniques)
    yield ""


def _page(one: Detection) -> str:
    config = one.config
    parts = [
        f"# {_text(config.display_name or one.name)}",
        _text((config.description or "").strip()),
        "\n".join([*_head("", ""), *(_row(name, value) for name, value in _facts(one) if value)]),
        _list("False positives", map(_text, config.false_positives)),
        _titled("Runbook", _text(_QUERY.sub(r"\1```sql\n", (config.runbook or "").strip()))),
        _titled("What it looks at", _looked_at(one)),
        _list("Tests", (f"{_text(case.name)} ({_outcome(case.finds)})" for case in config.tests)),
        _list("References", (f"<{link}>" for link in config.references)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(one: Detection) -> Iterator[tuple[str, str]]:
    config, alert = one.config, one.config.alert
    own = _functions(one)
    yield "name", f"`{one.name}`{'' if config.enabled else ' (disabled)'}"
    yield "severity", f"{alert.severity.value}{', or as its rule says' if 'severity' in own else ''}"
    window = f"{alert.deduplication_window_minutes} minutes"
    matches = f"{alert.threshold} matches" if alert.threshold > 1 else "the first match"
    yield (
        "alert",
        f"at {matches}; later ones join it for {window}" if alert.threshold == 1 else f"at {matches} in {window}",
    )
    yield "ATT&CK", "<br>".join(_spelled(text) for text in config.reports.attack)
    yield "tables", ", ".join(_table(name) for name in config.tables)
    yield "format", "one record after the other" if one.mode is Mode.RECORD else "all records of a window at once"
    yield "requirements", ", ".join(f"`{line}`" for line in one.requirements.split("\n") if line.strip())
    shared = sorted(name for name in one.files if name.startswith("lib/") and name.endswith(".py"))
    yield "shared code", ", ".join(f"[{name}]({_UP}/{name})" for name in shared)
    yield "tags", ", ".join(f"`{tag}`" for tag in config.tags)
    yield "files", f"[{one.path}]({_UP}/{one.path})"


def _functions(one: Detection) -> set[str]:
    tree = ast.parse(one.files[one.script].content)
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _looked_at(one: Detection) -> str:
    said = []
    if one.config.query.where:
        said.append(f"Records of which the condition of its config is true:\n\n```sql\n{one.config.query.where}\n```")
    explanation = explain(one, {})
    if one.mode is Mode.RECORD and explanation.predicate != "True":
        exact = "and finds each of those" if explanation.exact else "and asks more of them than can be said here"
        predicate = _lines(explanation.predicate)
        said.append(f"It can match a record only where the following is true, {exact}:\n\n```text\n{predicate}\n```")
    return "\n\n".join(said) or "Every record of its tables."


def _lines(predicate: str) -> str:
    """A predicate with each of its parts on a line of its own; where it is not plain Python, on as few as it needs."""
    try:
        tree = ast.parse(predicate, mode="eval").body
    except SyntaxError:
        tree = None
    if not isinstance(tree, ast.BoolOp):
        return _wrapped(predicate)
    word = "and" if isinstance(tree.op, ast.And) else "or"
    parts = [(one, ast.get_source_segment(predicate, one) or "") for one in tree.values]
    shown = [f"({text})" if isinstance(one, ast.BoolOp) else text for one, text in parts]
    return f"\n{word} ".join(map(_wrapped, shown))


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, 110, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _spelled(text: str) -> str:
    """An id as links with names: the tactic, and the technique below it."""
    tactic, technique = places(text)[0]
    keys = [tactic] if ":" in text or not technique else []
    return ": ".join(f"{_link(key)} {known()[key].name}" for key in (*keys, *([technique] if technique else [])))


def _link(key: str) -> str:
    kind = "tactics" if key.startswith("TA") else "techniques"
    return f"[{key}]({_ATTACK}/{kind}/{key.replace('.', '/')}/)"


def _table(name: str) -> str:
    page = PAGES.parent / f"{name}.md"
    return f"[{name}](../{page.name})" if page.exists() else f"`{name}`"


def _file(one: Detection) -> str:
    return f"{one.name}.md"


def _outcome(finds: bool) -> str:
    return "found" if finds else "not found"


def _titled(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _list(title: str, items: Iterable[str]) -> str:
    return _titled(title, "\n".join(f"* {item}" for item in items))


def _head(*names: str) -> Sequence[str]:
    return _row(*names), _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Prose as Markdown shows it unchanged, but for code: what stands in backticks and fences is left as it is."""
    parts = _CODE.split(text)
    return "".join(part if number % 2 else _SPECIAL.sub(r"\\\g<0>", part) for number, part in enumerate(parts))


if __name__ == "__main__":
    pages = written(official())
    wrong = stale(pages, PAGES)
    if "--check" in sys.argv[1:]:
        sys.exit(f"run python -m tests.docs.pack: {', '.join(wrong)}" if wrong else 0)
    PAGES.mkdir(exist_ok=True)
    for name in wrong:
        if name in pages:
            (PAGES / name).write_text(pages[name])
        else:
            (PAGES / name).unlink()
