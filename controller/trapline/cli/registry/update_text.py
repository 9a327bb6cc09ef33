"""What moving a pack on would change, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trapline.author.registry.update import FileChange, Move, UsedChange
from trapline.cli.output import counted, errors, say, short
from trapline_plugins.text import one_line

_SHOWN = 20
_LONG = 300
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def print_move(move: Move, *, diffs: bool) -> None:
    """Prints all of it; what somebody must not miss comes first, and on standard error."""
    say(move.name, style="bold", end="")
    ahead = f", {counted(move.ahead, 'commit')} on" if move.ahead else ""
    back = f", {counted(move.back, 'commit')} back" if move.back else ""
    say(f"  {short(move.pack.revision)} -> {short(move.to)}{ahead}{back}")
    if move.rewritten:
        say(
            "  that commit does not follow the pinned one: the history was rewritten, or it is another branch's;",
            **_LOUD,
        )
        say("  see with its authors why, before you trust it", **_LOUD)
    if move.unread:
        say(f"  what is pinned now cannot be compared with: {move.unread}", **_LOUD)
    for lost in move.lost:
        say(f"  {lost.name} runs here, and would no longer: {one_line(lost.reason, _LONG)}", **_LOUD)
    for note in move.notes:
        say(f"  {one_line(note, _LONG)}", style="yellow")
    for file in move.replaced:
        say(
            f"  {file.path} has changed, which you have a file of your own for: see whether that still fits",
            style="yellow",
        )
        _print_file(file, diffs=diffs)
    for one in move.changed:
        _print_used(one, diffs=diffs)
    for shared in move.shared:
        say(f"  {one_line(shared.file.path)}", style="bold", end="")
        say(f"  changed, and used by {', '.join(shared.users)}")
        _print_file(shared.file, diffs=diffs)
    _print_names("would run here as well", move.starts)
    _print_names("new, and not used", move.new)
    _print_names("gone, and not used", move.gone)
    if not (move.lost or move.changed or move.starts or move.unread):
        say("  nothing changes for what runs here")


_LOUD: dict[str, Any] = {"to": errors, "style": "bold red"}


def _print_used(one: UsedChange, *, diffs: bool) -> None:
    say(f"  {one.name}", style="bold", end="")
    say(f"  {one_line(one.what, _LONG)}")
    for key, before, now in one.settings:
        say(f"    {key}: {one_line(before, _LONG)} -> {one_line(now, _LONG)}")
    if one.predicate:
        say(f"    can match where: {one_line(one.predicate[0], _LONG)}")
        say(f"                now: {one_line(one.predicate[1], _LONG)}")
    if one.tests:
        say(f"    tests: {one.tests[0]} -> {one.tests[1]}")
    for file in one.files:
        _print_file(file, diffs=diffs)


def _print_file(file: FileChange, *, diffs: bool) -> None:
    say(f"    {one_line(file.path)}: +{file.added} -{file.removed}")
    if diffs and not file.diff:
        say("      too long to be shown line by line")
    elif diffs:
        for line in file.diff.splitlines()[2:]:
            say(f"      {line}", style=_STYLES.get(line[:1], ""))


def _print_names(what: str, names: Sequence[str]) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        say(f"  {what}: {', '.join(names[:_SHOWN])}{more}")


def as_plain(move: Move) -> dict[str, Any]:
    """The same as JSON has it."""
    return {
        "pack": move.name,
        "from": move.pack.revision,
        "to": move.to,
        "commits": move.ahead if move.back is None else -move.back,
        "follows": not move.rewritten,
        "unread": move.unread or None,
        "lost": [{"name": one.name, "reason": one.reason} for one in move.lost],
        "starts": list(move.starts),
        "changed": [
            {
                "name": one.name,
                "what": one.what,
                "settings": [{"key": key, "before": before, "now": now} for key, before, now in one.settings],
                "predicate": one.predicate and {"before": one.predicate[0], "now": one.predicate[1]},
                "tests": one.tests and {"before": one.tests[0], "now": one.tests[1]},
                "files": [_plain_file(file) for file in one.files],
            }
            for one in move.changed
        ],
        "shared": [{**_plain_file(one.file), "users": list(one.users)} for one in move.shared],
        "new": list(move.new),
        "gone": list(move.gone),
        "replaced": [_plain_file(file) for file in move.replaced],
        "notes": list(move.notes),
    }


def _plain_file(file: FileChange) -> dict[str, Any]:
    return {"path": file.path, "added": file.added, "removed": file.removed, "diff": file.diff}
