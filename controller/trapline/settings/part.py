"""What every part of trapline.yml is: frozen, and silent about keys it does not know, which are told otherwise."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A group of keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")
