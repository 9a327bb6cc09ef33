"""The packs of a checkout, fetched into the user's cache as they are needed, and read from there without a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from trapline.author.checkout import Checkout
from trapline.author.workshop import cached
from trapline.detection.model import File
from trapline.packs.contents import PackContents, Packs, read_pack
from trapline.packs.store import PackStore
from trapline.settings import Settings
from trapline.settings.packs import PackSettings
from trapline.source.tree import SourceError, Tree

_AWAY = ("unreachable", "no-access", "unwritable")
"""What says nothing about the pack: the machine that deploys may well be let in."""


def pack_store(checkout: Checkout) -> PackStore:
    """Where the packs of a checkout are kept between commands."""
    return PackStore(cached(checkout) / "packs")


def packs_of(checkout: Checkout) -> Packs:
    """Reads the packs that settings name. One that cannot be had is a problem, or a warning where nobody answers."""
    store = pack_store(checkout)

    def read(settings: Settings, own: Mapping[str, File]) -> Sequence[PackContents]:
        return [_read(store, name, pack, settings, own) for name, pack in settings.packs.items()]

    return read


def fetched_tree(store: PackStore, pack: PackSettings) -> Tree:
    """The files at the pin, which are fetched where they are not there yet. Raises SourceError."""
    if not store.has(pack):
        store.fetch(pack, env=os.environ)
    return store.tree(pack)


def _read(store: PackStore, name: str, pack: PackSettings, settings: Settings, own: Mapping[str, File]) -> PackContents:
    try:
        return read_pack(name, pack, fetched_tree(store, pack), settings=settings, own=own)
    except SourceError as error:
        problem = settings.problem(("packs", name, "revision"), error.message, error.remedy, "pack-not-read")
        if error.code in _AWAY:
            problem = replace(problem, severity="warning")
        return PackContents(name, problems=(problem,), unread=True)
