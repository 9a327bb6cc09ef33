"""The packs of trapline.yml: where detections of others are from, which are used, and what is decided about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from trapline.config.units import Period
from trapline.config.words import did_you_mean
from trapline.detection.model import OWN_IDENTITY, OwnSchedule, Severity
from trapline.settings.part import Part

BUILTIN = "builtin:aws"
"""The source of the pack that comes with Trapline."""

ALL = "all"
"""In `enable`: every detection of the pack."""

SELECTORS = ("tag", "attack", "severity")
"""What stands before a `:` in `enable`, and selects detections by what they say of themselves."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
FULL_REVISION = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
"""The id of a commit, with nothing left out."""


def _pack_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a pack's name is small letters, digits, `_` and `-`, and begins with a letter")
    if name == OWN_IDENTITY:
        raise ValueError(f"`{name}` is kept for Trapline itself: choose another")
    return name


def _full_revision(value: str) -> str:
    if not FULL_REVISION.fullmatch(value):
        raise ValueError("a pack is pinned to the full id of a commit; a branch or tag may be moved by others")
    return value


def selector(value: str) -> str:
    """An entry of `enable`, as it is. Raises ValueError where it can be none."""
    kind, colon, wanted = value.partition(":")
    if colon and kind not in SELECTORS:
        near = did_you_mean(kind, SELECTORS)
        raise ValueError(
            f"`{value}` is neither a name nor one of {', '.join(f'{one}:' for one in SELECTORS)} {near}".strip()
        )
    if kind == "severity" and colon and wanted not in tuple(Severity):
        raise ValueError(f"`{wanted}` is no severity: write one of {', '.join(Severity)}")
    if not value or (colon and not wanted):
        raise ValueError("it names nothing")
    return value


def _registry(value: str) -> str:
    scheme, colon, _ = value.partition("://")
    if not colon:
        return value
    try:
        url = urlsplit(value)
        host = url.hostname
    except ValueError as error:
        raise ValueError(f"it is no address: {error}") from None
    if not host or scheme not in ("https", "http") or (scheme == "http" and host not in _LOOPBACK):
        raise ValueError("an index is at an https:// address, or a path of this repository")
    if url.username is not None or url.password is not None:
        raise ValueError("an address with a password or token in it is no secret here: remove them")
    return value


PackName = Annotated[str, AfterValidator(_pack_name)]
Registry = Annotated[str, Field(min_length=1), AfterValidator(_registry)]


class SignedBy(Part):
    """The `verify` part of a pack: whose signature the pinned commit has."""

    ssh: str | None = Field(default=None, min_length=1, description="Allowed signers, as ssh-keygen has them.")
    gpg: str | None = Field(default=None, min_length=1, description="Exported OpenPGP public keys.")

    @model_validator(mode="after")
    def _one_of_two(self) -> SignedBy:
        if (self.ssh is None) == (self.gpg is None):
            raise ValueError("give either `ssh` or `gpg`")
        return self


class PackOverride(Part):
    """What is decided about one detection of a pack, whatever the pack says."""

    enabled: bool | None = Field(default=None, strict=True, description="Whether it runs.")
    severity: Severity | None = Field(default=None, description="The severity of all of its alerts.")
    threshold: int | None = Field(
        default=None, ge=1, strict=True, description="Matches within one window before an alert opens."
    )
    window: Annotated[Period, Field(le=timedelta(days=31))] | None = Field(
        default=None, description="For how long later matches join the open alert, in minutes at least."
    )
    destinations: tuple[str, ...] | None = Field(
        default=None, description="Where all of its alerts go; `default_destinations` if not given."
    )
    schedule: OwnSchedule | None = Field(default=None, description="When it runs.")
    realtime: bool | None = Field(default=None, strict=True, description="Whether it sees records as they land.")
    where: str | None = Field(default=None, description="A condition in Athena's SQL that records must fulfil as well.")
    exclude: str | None = Field(
        default=None, description="A condition in Athena's SQL; records that fulfil it are none of its business."
    )
    allow_source_builds: bool = Field(
        default=False,
        strict=True,
        description="Whether its requirements may be built from source, which runs their build code on the controller.",
    )


class PackSettings(Part):
    """One entry of `packs`."""

    source: str = Field(min_length=1, description=f"The URL of a git repository, or `{BUILTIN}`.")
    revision: Annotated[str, AfterValidator(_full_revision)] = Field(description="The commit that is used.")
    ref: str = Field(
        default="HEAD",
        min_length=1,
        description="The branch or tag that has it; the default branch if not given.",
    )
    root: str = Field(default="", description="The folder of that repository that has `detections/`.")
    token: str | None = Field(default=None, description="A token that may read it: a reference such as `${env:NAME}`.")
    verify: SignedBy | None = Field(default=None, description="Whose signature the commit must have.")
    enable: tuple[Annotated[str, AfterValidator(selector)], ...] = Field(
        default=(),
        description="Which detections run: names, `tag:iam`, `attack:t1078` (or a tactic), `severity:high` (or above), "
        "or `all`.",
    )
    tables: Mapping[str, str] = Field(
        default_factory=dict, description="Names of the pack's tables, each with the name that it has here."
    )
    replace: Mapping[str, str] = Field(
        default_factory=dict,
        description="Files of the pack, each with a file of this repository to use in its place, such as one of your "
        "own accounts.",
    )
    overrides: Mapping[str, PackOverride] = Field(
        default_factory=dict, description="What is decided about single detections, by their name in the pack."
    )

    @property
    def is_builtin(self) -> bool:
        return self.source == BUILTIN
