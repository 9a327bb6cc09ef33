"""All indexes that there are to look through: the official pack's, and those that trapline.yml names."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from trapline.author.registry.fetch import Found, fetch, read_file
from trapline.author.registry.official import official_index
from trapline.clock import Clock
from trapline.config.files import File
from trapline.errors import TraplineError
from trapline.settings import FILE_NAME, Settings, load
from trapline.settings.packs import BUILTIN

_AT_ONCE = 8


def settings_around(path: Path) -> tuple[Settings, Path]:
    """What the nearest trapline.yml upwards says, and the folder that it is in; the defaults where there is none.

    Raises SettingsError.
    """
    path = path.resolve()
    for folder in (path, *path.parents):
        file = folder / FILE_NAME
        if file.is_file():
            return load({FILE_NAME: File(content=file.read_bytes())})[0], folder
    return Settings(), path


def gather(settings: Settings, root: Path, *, cache: Path, http: httpx.Client | None, now: Clock) -> Sequence[Found]:
    """Each by itself, the official one first: what is wrong with one stops no other. `root` is where paths begin."""

    def bring(place: str) -> Found:
        if "://" in place:
            return fetch(place, cache=cache, http=http, now=now)
        return read_file(root / place, place)

    with ThreadPoolExecutor(_AT_ONCE, "indexes") as pool:
        return [_official(cache), *pool.map(bring, dict.fromkeys(settings.registries))]


def _official(cache: Path) -> Found:
    try:
        return Found(BUILTIN, official_index(cache))
    except TraplineError as error:
        return Found(BUILTIN, None, problem=error)
