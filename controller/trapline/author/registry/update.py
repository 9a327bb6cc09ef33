"""A pack moved on to another commit: what that changes for those who use it, before anything is written."""

from __future__ import annotations

import difflib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trapline import suppressions
from trapline.author.change.base import Base
from trapline.author.change.differing import Differing, differing
from trapline.author.change.sides import Side, Sides
from trapline.author.registry.add import manifest_of
from trapline.author.registry.desk import Desk
from trapline.author.registry.splice import Put
from trapline.deploy.desired import Desired, read_desired
from trapline.detection.model import Detection, File, pack_folder
from trapline.errors import TraplineError
from trapline.packs.contents import PackContents
from trapline.run.explain import explain
from trapline.settings import FILE_NAME, PackSettings
from trapline.source.tree import Tree

_MOST_LINES = 10_000
"""Of a file that is compared line by line: somebody may have written one for which that takes hours."""
_ABOUT = ("enabled", "tests", "name", "id", "modified", "decision")
"""Keys of a config that are told otherwise, or are nothing to tell."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs: lines that came and went, and both in the unified format, but for very long files."""

    path: str
    added: int
    removed: int
    diff: str


@dataclass(frozen=True, slots=True)
class SharedChange:
    """A file of the pack's `lib/` that differs, and the names of those that are used and import it."""

    file: FileChange
    users: Sequence[str]


@dataclass(frozen=True, slots=True)
class UsedChange:
    """A detection that is used and differs, but for files that it shares.

    `settings` are keys of its config with what they were and are; so are `predicate`, which records it can match as
    `trapline explain` says it, and `tests`, how many it has.
    """

    name: str
    what: str
    files: Sequence[FileChange] = ()
    settings: Sequence[tuple[str, str, str]] = ()
    predicate: tuple[str, str] | None = None
    tests: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A detection that is used, and would be no longer; why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """What another commit would change. `unread` says why what is pinned now cannot be compared with.

    It is `ahead` of the pin by so many commits, or `back` from it; None where it is not. `starts` are names of what
    would run besides, `new` and `gone` of what is not used. `shared` are files that several import, by who uses them;
    `replaced` are those that the user has others in the place of. `notes` concern the pack as a whole.
    """

    name: str
    pack: PackSettings
    to: str
    ahead: int | None
    back: int | None
    lost: Sequence[Lost]
    starts: Sequence[str]
    changed: Sequence[UsedChange]
    shared: Sequence[SharedChange]
    new: Sequence[str]
    gone: Sequence[str]
    replaced: Sequence[FileChange]
    notes: Sequence[str]
    sides: Sides
    base: Base
    unread: str = ""

    @property
    def rewritten(self) -> bool:
        """Whether the commit comes neither after the pin nor before it, though both are of one repository."""
        return self.ahead is None and self.back is None and not self.pack.is_builtin and not self.unread

    @property
    def doubtful(self) -> bool:
        """Whether somebody has to say so once more before it is written."""
        return bool(self.lost) or self.rewritten or self.unfollowed

    @property
    def unfollowed(self) -> bool:
        """Whether nobody can tell if the commit follows the pin, as where a rewritten history has it no longer.

        Of the pack that comes with Trapline there is one commit in each version.
        """
        return bool(self.unread) and not self.pack.is_builtin

    @property
    def differing(self) -> list[Differing]:
        """What is used on either side and differs, for a comparison of the alerts."""
        return differing(self.sides)


def move(desk: Desk, name: str, *, to: str = "") -> Move | None:
    """What moving a pack to a commit, else to where its ref is now, would change; None where it is there already.

    Raises TraplineError, also where that commit is not signed as the pack's entry asks for.
    """
    pack = desk.pack(name)
    commit = to or desk.tip(pack)
    if commit == pack.revision:
        return None
    moved = _moved_to(desk, name, commit).pack(name)
    tree = desk.tree(moved)
    before, unread = _before(desk, pack)
    after = desk.read(name, moved, tree)
    were = desk.read(name, pack, before)
    base, head = _side(name, were, before, desk), _side(name, after, tree, desk)
    sides = Sides(base, head)
    used = {one.identity: one for one in were.used}
    will = {one.identity: one for one in after.used}
    known, knows = _names(were), _names(after)
    changed = [] if unread else [one for one in differing(sides) if one.identity in {*used} & {*will}]
    return Move(
        name=name,
        pack=pack,
        to=commit,
        ahead=None if unread else desk.store.ahead(pack, commit),
        back=None if unread else desk.store.ahead(moved, pack.revision),
        lost=[] if unread else list(_lost(used, head.desired)),
        starts=sorted(one.name for identity, one in will.items() if identity not in used),
        changed=[_used_change(one) for one in changed],
        shared=list(_shared(changed)),
        new=sorted(knows - known - {one.name for one in will.values()}),
        gone=sorted(known - knows - {one.name for one in used.values()}),
        replaced=[] if unread else list(_files(before.files, tree.files, pack.replace)),
        notes=[] if unread else list(_notes(before, tree)),
        sides=sides,
        base=Base(pack.ref, pack.revision, before),
        unread=unread,
    )


def moved(desk: Desk, move: Move) -> Desk:
    """The desk with the pin where it is moved to; not saved yet. Raises TraplineError."""
    return _moved_to(desk, move.name, move.to)


def _moved_to(desk: Desk, name: str, commit: str) -> Desk:
    return desk.changed([Put(("packs", name, "revision"), commit)])


def _before(desk: Desk, pack: PackSettings) -> tuple[Tree, str]:
    """The files at the pin; none, and why, where they are not to be had."""
    try:
        return desk.tree(pack), ""
    except TraplineError as error:
        return Tree(pack.revision, {}), error.message


def _names(contents: PackContents) -> set[str]:
    return {one.name for one in contents.detections}


def _side(name: str, contents: PackContents, tree: Tree, desk: Desk) -> Side:
    """What a controller would make of the pack, and of nothing else."""
    own = desk.checkout.tree.files
    files = {path: own[path] for path in (suppressions.FILE_NAME,) if path in own}
    files[FILE_NAME] = File(content=desk.text)
    desired = read_desired(
        contents.revision, files, fallback=None, env=os.environ, packs=lambda settings, own: (contents,)
    )
    return Side({f"{pack_folder(name)}/{path}": file for path, file in tree.files.items()}, desired)


def _lost(used: Mapping[str, Detection], after: Desired) -> Iterator[Lost]:
    """What runs now and would not run at the other commit."""
    running = {one.identity for one in after.detections}
    held = {one.identity: one for one in after.held}
    unused = {one.identity: one for pack in after.packs for one in pack.detections}
    for identity, detection in sorted(used.items()):
        if identity in running:
            continue
        if identity in held:
            yield Lost(detection.name, f"it cannot be used there: {held[identity].problems[0]}")
        elif identity not in unused:
            yield Lost(detection.name, "the pack has it no longer")
        elif unused[identity].name != detection.name:
            yield Lost(detection.name, f"it is called {unused[identity].name} there, which nothing in `enable` covers")
        else:
            yield Lost(
                detection.name, "its tags, techniques or severity are others there, and nothing in `enable` covers them"
            )


def _used_change(one: Differing) -> UsedChange:
    base, head = (version.detection if version else None for version in (one.base, one.head))
    if base is None or head is None:
        return UsedChange(one.name, one.what)
    before, after = _predicate(base), _predicate(head)
    tests = len(base.config.tests), len(head.config.tests)
    return UsedChange(
        one.name,
        one.what,
        list(_files(base.files, head.files, [path for path in one.files if path not in base.shared | head.shared])),
        list(_settings(base, head)),
        (before, after) if before != after else None,
        tests if base.config.tests != head.config.tests else None,
    )


def _shared(changed: Sequence[Differing]) -> Iterator[SharedChange]:
    users: dict[str, list[str]] = defaultdict(list)
    files: dict[str, FileChange] = {}
    for one in changed:
        base, head = (version.detection if version else None for version in (one.base, one.head))
        if base and head:
            for file in _files(base.files, head.files, sorted(base.shared | head.shared)):
                files[file.path] = file
                users[file.path].append(one.name)
    yield from (SharedChange(files[path], users[path]) for path in sorted(files))


def _predicate(detection: Detection) -> str:
    found = explain(detection, {})
    return found.predicate if found.exact else f"{found.predicate}, as far as it was understood"


def _settings(base: Detection, head: Detection) -> Iterator[tuple[str, str, str]]:
    """The keys of the config that differ, as they hold here."""
    before, after = _flat(base.config.model_dump(mode="json")), _flat(head.config.model_dump(mode="json"))
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key) and key.partition(".")[0] not in _ABOUT:
            yield key, _shown(before.get(key)), _shown(after.get(key))


def _flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flat(inner, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = inner
    return flat


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "nothing"
    return ", ".join(str(entry) for entry in value) if isinstance(value, list) else str(value)


def _files(
    before: Mapping[str, File], after: Mapping[str, File], paths: Sequence[str] | Mapping[str, str]
) -> Iterator[FileChange]:
    for path in paths:
        if before.get(path) != after.get(path):
            yield _file_change(path, _lines(before.get(path)), _lines(after.get(path)))


def _file_change(path: str, before: Sequence[str], after: Sequence[str]) -> FileChange:
    if max(len(before), len(after)) > _MOST_LINES:
        one, other = Counter(before), Counter(after)
        return FileChange(path, (other - one).total(), (one - other).total(), "")
    lines = list(difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm=""))
    added = sum(line.startswith("+") for line in lines[2:])
    return FileChange(path, added, sum(line.startswith("-") for line in lines[2:]), "\n".join(lines))


def _lines(file: File | None) -> list[str]:
    return file.content.decode(errors="replace").splitlines() if file else []


def _notes(before: Tree, after: Tree) -> Iterator[str]:
    """What concerns the pack as a whole."""
    one, other = manifest_of(before), manifest_of(after)
    licences = [said.license if said else "not told" for said in (one, other)]
    if licences[0] != licences[1]:
        yield f"its licence: {licences[0]} -> {licences[1]}"
    texts = [
        {path: file for path, file in tree.files.items() if path.upper().startswith(("LICENSE", "LICENCE", "COPYING"))}
        for tree in (before, after)
    ]
    if texts[0] != texts[1]:
        yield f"the text of its licence has changed: {', '.join(sorted({*texts[0], *texts[1]}))}"
