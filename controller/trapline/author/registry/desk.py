"""Where somebody looks after the packs of a checkout: its trapline.yml, its files, and what was fetched of packs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trapline.author.checkout import Checkout
from trapline.author.packs import fetched_tree, pack_store
from trapline.author.registry.edit import edited, save
from trapline.author.registry.splice import Change
from trapline.config.words import did_you_mean
from trapline.errors import TraplineError
from trapline.packs.contents import PackContents, read_pack
from trapline.packs.store import PackStore
from trapline.settings import FILE_NAME, PackSettings, Settings, parse
from trapline.settings import load as load_settings
from trapline.source.tree import Tree


@dataclass(frozen=True, slots=True)
class Desk:
    """`before` is trapline.yml as it was read, `text` as it would be now; on the disk it is changed by `save` alone."""

    checkout: Checkout
    store: PackStore
    before: bytes
    text: bytes
    settings: Settings

    @classmethod
    def of(cls, checkout: Checkout) -> Desk:
        """The one of a checkout. Raises SettingsError."""
        file = checkout.tree.files.get(FILE_NAME)
        text, settings = file.content if file else b"", load_settings(checkout.tree.files)[0]
        return cls(checkout, pack_store(checkout), text, text, settings)

    @property
    def file(self) -> Path:
        return self.checkout.root / FILE_NAME

    def pack(self, name: str) -> PackSettings:
        """A pack's entry. Raises TraplineError where there is none."""
        if name in self.settings.packs:
            return self.settings.packs[name]
        near = did_you_mean(name, self.settings.packs)
        known = f"there are: {', '.join(sorted(self.settings.packs))}" if self.settings.packs else ""
        remedy = near or known or "add one with `trapline registry add`"
        raise TraplineError(f"{FILE_NAME} has no pack `{name}`", remedy=remedy)

    def tip(self, pack: PackSettings) -> str:
        """The commit that a pack's ref is at now. Raises SourceError."""
        return self.store.tip(pack, env=os.environ)

    def tree(self, pack: PackSettings) -> Tree:
        """The files of a pack at its pin, fetched where they are not here yet. Raises SourceError."""
        return fetched_tree(self.store, pack)

    def contents(self, name: str, pack: PackSettings) -> PackContents:
        """What a pack brings here. Raises SourceError."""
        return self.read(name, pack, self.tree(pack))

    def read(self, name: str, pack: PackSettings, tree: Tree) -> PackContents:
        """What a pack with these files brings here."""
        return read_pack(name, pack, tree, settings=self.settings, own=self.checkout.tree.files)

    def changed(self, changes: Sequence[Change]) -> Desk:
        """The desk with changes of trapline.yml that are not saved yet. Raises TraplineError where they cannot be."""
        text = edited(self.text, changes)
        return replace(self, text=text, settings=parse(text)[0])

    @property
    def is_changed(self) -> bool:
        return self.text != self.before

    def save(self) -> None:
        """Makes the changes on the disk. Raises TraplineError; then none was made."""
        if self.is_changed:
            save(self.file, self.text, before=self.before)
