"""Packs for tests: a repository that uses others, and others as git itself would never make them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.playground import Playground
from trapline.controller import Controller
from trapline.deploy.reconcile import Report


class Both:
    """A repository and the pack `acme` that it uses."""

    def __init__(self, root: Path) -> None:
        self.own = Playground(root)
        self.theirs = Playground(root / "theirs")
        self.own.detection("mine")
        for name, severity in (("quiet", "low"), ("loud", "critical"), ("third", "medium")):
            self.theirs.detection(name, alert={"severity": severity}, tags=[f"tag-{name}"])
        self.pin = self.theirs.commit()

    def use(self, *enable: str, revision: str = "", others: Any = {}, sandbox: Any = {}, **pack: Any) -> str:  # noqa: B006
        """Writes trapline.yml with the pack in it, and `others`, and commits."""
        entry = {
            "source": str(self.theirs.repository),
            "revision": revision or self.pin,
            "enable": list(enable),
            **pack,
        }
        self.own.settings(packs={"acme": entry, **others}, **({"sandbox": sandbox} if sandbox else {}))
        return self.own.commit()


def live(controller: Controller) -> set[str]:
    return {deployment.name for deployment in controller.ledger.deployments().values()}


def said(report: Report) -> str:
    return "\n".join(map(str, report.problems))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree: a mode of git and the content, the target of a link, or the id of an object."""

    mode: str
    content: bytes | str


def link(target: str) -> Entry:
    return Entry("120000", target.encode())


def submodule(commit: str) -> Entry:
    return Entry("160000", commit)


Folder = Mapping[bytes, "bytes | Entry | Folder"]
"""What a tree has, by names that may be anything but empty or have a zero in them."""


def plant(repository: Path, folder: Folder) -> str:
    """A commit with these files and no others, written as they are, whatever git thinks of it; its id."""
    tree = write_tree(repository, folder)
    who = ["-c", "user.name=Eve", "-c", "user.email=eve@example.com"]
    commit = _git(repository, *who, "commit-tree", tree, "-m", "Nothing to see here").decode().strip()
    _git(repository, "update-ref", "refs/heads/main", commit)
    return commit


def write_tree(repository: Path, folder: Folder) -> str:
    """A tree object, whose id is returned."""
    raw = b"".join(
        mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid)
        for name, entry in folder.items()
        for mode, oid in [_written(repository, entry)]
    )
    return write_object(repository, "tree", raw)


def write_blob(repository: Path, content: bytes) -> str:
    return write_object(repository, "blob", content)


def _written(repository: Path, entry: bytes | Entry | Folder) -> tuple[str, str]:
    if isinstance(entry, bytes):
        return "100644", write_blob(repository, entry)
    if isinstance(entry, Entry):
        oid = entry.content if isinstance(entry.content, str) else write_blob(repository, entry.content)
        return entry.mode, oid
    return "40000", write_tree(repository, entry)


def write_object(repository: Path, kind: str, content: bytes) -> str:
    """An object of git as it is, however little it is one; its id."""
    return _git(repository, "hash-object", "-t", kind, "--literally", "-w", "--stdin", feed=content).decode().strip()


def _git(repository: Path, *arguments: str, feed: bytes = b"") -> bytes:
    done = subprocess.run(["git", *arguments], cwd=repository, input=feed, capture_output=True, check=True)
    return done.stdout
