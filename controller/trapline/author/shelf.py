"""What a workshop remembers from command to command: files, for a database takes longer to open than a rule to test."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path

from trapline.errors import TraplineError
from trapline.workers.interface import BuildDigest, Seal


class Shelf:
    """Locked requirements, and what the things of this workshop are called on an engine that others use too.

    No seals: what an author changes by hand is the author's own. And no log: what a rule prints is shown.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            remedy = "name a folder that you may write to in XDG_CACHE_HOME"
            raise TraplineError(f"{folder} cannot be made: {error.strerror}", remedy=remedy) from error
        self._folder = folder

    def scope(self) -> str:
        """The same for as long as the folder is there."""
        known = self._read("scope")
        if not known:
            known = uuid.uuid4().hex[:12]
            self._write("scope", known)
        return known

    def lock(self, key: str) -> str | None:
        return self._read(f"{key}.lock")

    def keep_lock(self, key: str, text: str, *, now: datetime) -> None:
        self._write(f"{key}.lock", text)

    def keep_seal(self, digest: BuildDigest, seal: Seal, *, now: datetime) -> None: ...

    def append(self, identity: str, *, build_digest: str, source: str, text: str, now: datetime) -> None: ...

    def _read(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def _write(self, name: str, text: str) -> None:
        """As a whole or not at all."""
        half = self._folder / f".{uuid.uuid4().hex}"
        try:
            half.write_text(text, encoding="utf-8")
            half.replace(self._folder / name)
        finally:
            half.unlink(missing_ok=True)
