"""What `search` and `show` have in common: the indexes brought here, and what is told of those that are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from trapline import __version__
from trapline.author.cache import user_cache
from trapline.author.registry.fetch import Found
from trapline.author.registry.find import Hit
from trapline.author.registry.gather import gather, settings_around
from trapline.author.registry.index import Index
from trapline.cli.output import age, errors, progress, say
from trapline.cli.registry.common import path_option
from trapline.clock import system_clock
from trapline.settings import Settings


@dataclass(frozen=True, slots=True)
class Looked:
    """What there is to look through, and the settings that said where."""

    settings: Settings
    found: Sequence[Found]

    @property
    def indexes(self) -> Sequence[Index]:
        return [one.index for one in self.found if one.index]

    @property
    def whole(self) -> bool:
        """Whether there is an index, of today or kept, of each place."""
        return all(one.index for one in self.found)

    def plain(self) -> list[dict[str, Any]]:
        """The places, for programs; `age` in seconds, null for what is as it is there now."""
        return [
            {
                "index": one.place,
                "detections": len(one.index.detections) if one.index else None,
                "age": int(one.age.total_seconds()) if one.age is not None else None,
                "problem": one.problem.message if one.problem else None,
            }
            for one in self.found
        ]

    def tell(self) -> None:
        """Says which indexes are old, or not there, and why."""
        for one in self.found:
            if one.problem:
                say(str(one.problem), to=errors, style="yellow")
            if one.age is not None:
                say(f"{one.place} is looked through as it was {age(one.age)} ago", to=errors, style="yellow")


def looking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--path` and `--offline`."""
    offline = click.option("--offline", is_flag=True, help="Ask nobody: look through what was fetched before.")
    return path_option(offline(command))


def look(path: Path, *, offline: bool) -> Looked:
    """Brings the indexes. Raises SettingsError."""
    settings, root = settings_around(path)
    with ExitStack() as ends:
        http = None
        if not offline and settings.registries:
            agent = {"User-Agent": f"trapline/{__version__}"}
            http = ends.enter_context(httpx.Client(headers=agent))
        ends.enter_context(progress("looking through the indexes"))
        cache = user_cache() / "trapline" / "registry"
        return Looked(settings, gather(settings, root, cache=cache, http=http, now=system_clock))


def plain(hit: Hit) -> dict[str, Any]:
    """A detection with its pack, for programs."""
    return {"pack": hit.pack.model_dump(mode="json"), **hit.entry.model_dump(mode="json")}
