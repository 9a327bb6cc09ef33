"""The index of the pack that comes with Trapline: made here, and kept for as long as its files are the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

from trapline import __version__
from trapline.author.registry.describe import index_of
from trapline.author.registry.fetch import write
from trapline.author.registry.index import BrokenIndex, Index, read, written
from trapline.detection.load import load
from trapline.fingerprint import fingerprint
from trapline.packs.builtin import builtin_files, make_repository
from trapline.packs.manifest import load as load_manifest
from trapline.settings.packs import BUILTIN
from trapline.source.command import run_git

_SECONDS = 60.0


def official_index(cache: Path) -> Index:
    """Raises TraplineError where what is installed has no such pack."""
    files = builtin_files()
    parts = [part for path, file in sorted(files.items()) for part in (path.encode(), file.content)]
    kept = cache / f"official-{fingerprint(__version__.encode(), *parts)[:32]}.json"
    try:
        return read(kept.read_bytes(), BUILTIN)
    except (OSError, BrokenIndex):
        pass
    manifest, _ = load_manifest(files)
    index = index_of(manifest, load(files).detections, source=BUILTIN, revision=_revision())
    for older in cache.glob("official-*.json"):
        older.unlink(missing_ok=True)
    write(kept, written(index).encode())
    return index


def _revision() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch, "pack.git")
        make_repository(place, timeout=_SECONDS)
        return run_git(["rev-parse", "main"], cwd=place, timeout=_SECONDS).out.decode().strip()
