"""Puts the pack that comes with Trapline into its wheel, as `builtin:aws`. A checkout has it where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PackHook(BuildHookInterface[Any]):
    """Includes the pack's folders from the root of the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version` is `editable` for an installation that stays where its files are."""
        if version == "standard":
            root = Path(self.root).parent
            for name in ("detections", "lib", "pack.yml", "LICENSE"):
                build_data["force_include"][str(root / name)] = f"trapline/builtin/{name}"
