"""How the packs of a checkout stand: what each is pinned to, how much of it is used, and whether it has moved on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trapline.author.registry.add import manifest_of
from trapline.author.registry.desk import Desk
from trapline.errors import TraplineError
from trapline.packs.contents import PackContents
from trapline.packs.manifest import Manifest
from trapline.settings import PackSettings
from trapline.source.tree import SourceError


@dataclass(frozen=True, slots=True)
class Standing:
    """One pack. `contents` is None where it cannot be read; `problem` says why that is, or why its source did not tell.

    `tip` is where its ref is now, empty where nobody asked; `behind` how many commits that is from the pin, None where
    the pin is not among what came before.
    """

    name: str
    pack: PackSettings
    contents: PackContents | None
    manifest: Manifest | None
    problem: TraplineError | None = None
    tip: str = ""
    behind: int | None = None


def standings(desk: Desk, *, ask: bool) -> Iterator[Standing]:
    """Every pack, by name. Only where the other sides may be asked is fetched what was not yet, and the tip known."""
    for name, pack in sorted(desk.settings.packs.items()):
        tip = ""
        problem: TraplineError | None = None
        try:
            tip = desk.tip(pack) if ask else ""
        except SourceError as error:
            problem = error
        try:
            tree = desk.tree(pack) if tip or pack.is_builtin else desk.store.tree(pack)
        except SourceError as error:
            if not (ask or pack.is_builtin or desk.store.has(pack)):
                remedy = "`trapline registry list --check` fetches it, and so does `trapline validate`"
                problem = TraplineError(error.message, remedy=remedy)
            yield Standing(name, pack, None, None, problem or error)
        else:
            behind = desk.store.ahead(pack, tip) if tip else None
            yield Standing(name, pack, desk.read(name, pack, tree), manifest_of(tree), problem, tip, behind)
