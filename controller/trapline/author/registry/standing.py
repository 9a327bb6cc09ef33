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
    """One pack. `contents` is None where it cannot be read, and `problem` says why.

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
        try:
            tip = desk.tip(pack) if ask else ""
            tree = desk.tree(pack) if ask or pack.is_builtin else desk.store.tree(pack)
            behind = desk.store.ahead(pack, tip) if tip else None
        except SourceError as error:
            yield Standing(name, pack, None, None, error)
        else:
            yield Standing(name, pack, desk.read(name, pack, tree), manifest_of(tree), None, tip, behind)
