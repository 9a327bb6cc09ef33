"""What an author saves in a checkout, as it happens."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from trapline.errors import TraplineError

_LOOK_MS = 100
_QUIET_MS = 50
"""A save is over when nothing has changed for so long: editors write a file in several steps."""


def saves(root: Path) -> Generator[Sequence[str], None, None]:
    """The files that changed, by path from the root, each time that some did; nothing in the first turn.

    That comes at once and says that from now on no change is missed. What editors and version control keep beside the
    files is not told of.
    """
    from watchfiles import watch  # only those wait for it who watch

    begun = False
    try:
        for changes in watch(root, rust_timeout=_LOOK_MS, step=_QUIET_MS, yield_on_timeout=True):
            if changes or not begun:
                begun = True
                yield sorted({Path(path).relative_to(root).as_posix() for _, path in changes})
    except OSError as error:
        raise TraplineError(
            f"{root} cannot be watched: {error}",
            remedy="raise the system's limit of watched folders (fs.inotify.max_user_watches on Linux), or look "
            "instead of waiting to be told: WATCHFILES_FORCE_POLLING=true",
        ) from error
