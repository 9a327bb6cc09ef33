"""A pack put into trapline.yml: found, fetched, verified and read before it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trapline.author.registry.desk import Desk
from trapline.author.registry.index import Index
from trapline.author.registry.splice import Put
from trapline.config.secrets import FORMS, is_reference, references
from trapline.config.words import did_you_mean
from trapline.errors import TraplineError
from trapline.packs.contents import PackContents
from trapline.packs.manifest import Manifest, ManifestError
from trapline.packs.manifest import load as load_manifest
from trapline.settings import FILE_NAME, PackSettings, Settings
from trapline.settings.packs import BUILTIN
from trapline.source.remote import check_url, redact, transport
from trapline.source.tree import Tree

_NO_COMMIT = "0" * 40
"""Stands for the pin while it is looked for."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to add; what is empty is found out, or left out."""

    source: str
    name: str = ""
    revision: str = ""
    ref: str = ""
    root: str = ""
    token: str = ""
    ssh_keys: Path | None = None
    gpg_keys: Path | None = None
    enable: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """What was found: the pack by its name here, what it brings, and what it says of itself. Nothing is saved yet."""

    desk: Desk
    name: str
    pack: PackSettings
    contents: PackContents
    manifest: Manifest | None

    @property
    def unknown_tables(self) -> Sequence[str]:
        """The tables that its detections read and trapline.yml does not name."""
        read = {table for one in self.contents.detections for table in one.config.tables}
        return sorted(read - self.desk.settings.tables.keys())


def add(desk: Desk, wish: Wish) -> Added:
    """Raises TraplineError for a pack that cannot be fetched, is not signed as asked for, or has nothing to use."""
    name = wish.name or _name_of(wish.source)
    if name in desk.settings.packs:
        remedy = f"move it on with `trapline registry update {name}`, or give this one another name with --name"
        raise TraplineError(f"{FILE_NAME} has a pack `{name}` already", remedy=remedy)
    _refuse_secrets(wish)
    entry = _entry(wish)
    pack = _parsed(name, {**entry, "revision": wish.revision or _NO_COMMIT})
    if not wish.revision:
        entry["revision"] = desk.tip(pack)
        pack = _parsed(name, entry)
    with_it = desk.changed([Put(("packs", name), entry)])
    tree = desk.tree(pack)
    contents = with_it.read(name, pack, tree)
    if not contents.detections:
        where = f" in its folder {pack.root}" if pack.root else ""
        remedy = (
            "a pack is a repository with a folder detections/; where it is in another folder, name that with --root"
        )
        if contents.broken:
            remedy = f"its first problem: {contents.broken[0].problems[0]}"
        raise TraplineError(f"{redact(wish.source)} has no detections{where} that can be used", remedy=remedy)
    for problem in contents.problems:
        if problem.severity == "error" and problem.path == FILE_NAME:  # what the pack itself has broken waits alone
            raise TraplineError(problem.message, remedy=problem.remedy)
    return Added(with_it, name, pack, contents, manifest_of(tree))


def is_name(source: str) -> bool:
    """Whether a source can only be the name of a pack, as indexes have it."""
    return re.fullmatch(r"[a-z][a-z0-9_-]*", source) is not None


def as_indexed(wish: Wish, indexes: Sequence[Index]) -> Wish:
    """The wish for a pack by its name, with the source, folder and commit that an index gives. Raises TraplineError."""
    packs = {index.pack.source: index.pack for index in indexes if index.pack.name == wish.source}
    sources = sorted(filter(None, packs))
    if not packs:
        near = did_you_mean(wish.source, {index.pack.name for index in indexes})
        remedy = f"{near} name its URL, or add an index that has it under `registries`".strip()
        raise TraplineError(f"no index has a pack `{wish.source}`", remedy=remedy)
    if len(sources) != 1:
        said = f"several have one: {', '.join(sources)}" if sources else "its index does not say where it can be had"
        raise TraplineError(f"`{wish.source}` names no one pack: {said}", remedy="name the URL that you mean")
    pack = packs[sources[0]]
    pinned = wish.revision or ("" if wish.ref else pack.revision or "")
    return replace(wish, source=sources[0], name=wish.name or pack.name, revision=pinned, root=wish.root or pack.root)


def manifest_of(tree: Tree) -> Manifest | None:
    """What a pack says of itself; None where it says nothing that can be read."""
    try:
        return load_manifest(tree.files)[0]
    except ManifestError:
        return None


def _name_of(source: str) -> str:
    if source == BUILTIN:
        return BUILTIN.partition(":")[2]
    last = re.split(r"[/:]", source.rstrip("/").removesuffix(".git"))[-1]
    name = re.sub(r"[^a-z0-9_-]+", "-", last.lower()).strip("-_")[:64]
    if not re.match(r"[a-z]", name):
        raise TraplineError(f"no name for a pack can be told from {redact(source)!r}", remedy="give one with --name")
    return name


def _refuse_secrets(wish: Wish) -> None:
    """Whoever can read the repository can read its trapline.yml."""
    remedy = f"give a reference with --token, in quotes: {FORMS}"
    if wish.source != BUILTIN:
        check_url(wish.source)
    login, at, _ = wish.source.partition("://")[2].partition("/")[0].rpartition("@")
    if at and (":" in login or transport(wish.source) != "ssh"):
        raise TraplineError(f"a secret does not belong into {FILE_NAME}: {redact(wish.source)}", remedy=remedy)
    if wish.token:
        found = [reference for _, reference in references({"token": wish.token})]
        if wish.token != "".join(f"${{{one}}}" for one in found) or not all(is_reference(one) for one in found):
            raise TraplineError(f"a token does not belong into {FILE_NAME}, only where it is to be had", remedy=remedy)


def _entry(wish: Wish) -> dict[str, Any]:
    verify = {kind: _keys(file) for kind, file in (("ssh", wish.ssh_keys), ("gpg", wish.gpg_keys)) if file is not None}
    entry = {
        "source": wish.source,
        "revision": wish.revision,
        "ref": wish.ref,
        "root": wish.root,
        "token": wish.token,
        "verify": verify,
        "enable": list(wish.enable),
    }
    return {key: value for key, value in entry.items() if value or key == "revision"}


def _keys(file: Path) -> str:
    try:
        return "\n".join(line.rstrip() for line in file.read_text(encoding="utf-8").strip().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text; export it with `gpg --armor`"
        raise TraplineError(f"the keys in {file} cannot be read: {reason}", remedy="name another file") from None


def _parsed(name: str, entry: dict[str, Any]) -> PackSettings:
    try:
        return Settings.model_validate({"packs": {name: entry}}).packs[name]
    except ValidationError as error:
        reason = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        raise TraplineError(reason, remedy="correct what you gave for it") from None
