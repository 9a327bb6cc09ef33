"""Files in memory: the one form in which a git revision and a plain directory are handed on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class File(BaseModel):
    """One file: its bytes and whether it is executable.

    `absent` says why a file that is there has no content here (too large, a symbolic link); empty for all others.
    """

    model_config = ConfigDict(frozen=True)

    content: bytes
    executable: bool = False
    absent: str = ""
