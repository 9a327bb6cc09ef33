"""The user's cache: what can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """The folder that programs keep such things in."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
