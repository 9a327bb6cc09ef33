"""Packs on this disk: a bare mirror of each source, from which whatever was fetched once can always be read again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from trapline.config.secrets import resolve_secrets
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline.packs.builtin import make_repository
from trapline.settings.packs import PackSettings, SignedBy
from trapline.source.access import Access
from trapline.source.git import Mirror
from trapline.source.remote import redact
from trapline.source.tree import SourceError, Tree
from trapline.source.verify import Trust

LARGEST_FETCH = 256 * 2**20
"""Bytes that one fetch of a pack may bring."""

_Answer = TypeVar("_Answer")

_PLAIN = Access()
_WORDS = {
    "--git-token-file or TRAPLINE_GIT_TOKEN": "`token` of the pack",
    "--git-token-file": "`token` of the pack",
    "TRAPLINE_GIT_TOKEN": "`token` of the pack",
    "--repository": "`source` of the pack",
    "--root": "`root` of the pack",
}
"""What the options of a controller's own repository are for a pack."""


class PackStore:
    """The packs beneath one folder. Only `fetch` and `tip` ask the other side; what they brought is read without it.

    Of `access` the ssh key and the known hosts are used. A token is only ever sent where a pack's entry names one.
    """

    def __init__(
        self, folder: Path, *, timeout: float = 60, access: Access = _PLAIN, largest: int = LARGEST_FETCH
    ) -> None:
        """`largest`: bytes that one fetch may bring."""
        self._folder, self._timeout, self._largest = folder, timeout, largest
        self._access = replace(access, token="", token_file=None)
        self._mirrors: dict[tuple[str, str, SignedBy | None], Mirror] = {}
        self._verified: set[tuple[str, SignedBy | None]] = set()

    def fetch(self, pack: PackSettings, *, env: Mapping[str, str]) -> None:
        """Brings the pinned commit where it is not there. Raises SourceError."""
        try:
            self._asked(pack, env, lambda mirror: mirror.bring(pack.revision))
        except SourceError as error:
            if not pack.is_builtin or error.code != "no-such-ref":
                raise
            message = f"this version of Trapline comes with another {pack.source} than {pack.revision[:12]}"
            remedy = "`trapline registry update` shows what has changed, and moves to it"
            raise SourceError("no-such-ref", message, remedy=remedy) from None

    def tip(self, pack: PackSettings, *, env: Mapping[str, str]) -> str:
        """The commit that the pack's ref is at now. Raises SourceError."""
        return self._asked(pack, env, lambda mirror: mirror.fetch())

    def has(self, pack: PackSettings) -> bool:
        """Whether the pinned commit can be read without asking the other side."""
        return self._mirror(pack).has(pack.revision)

    def ahead(self, pack: PackSettings, tip: str) -> int | None:
        """How many commits lead from the pinned commit to another one; None where that does not follow it."""
        return self._mirror(pack).ahead(tip, pack.revision)

    def tree(self, pack: PackSettings) -> Tree:
        """The files at the pin, verified where that is asked for. Raises SourceError."""
        mirror = self._mirror(pack)
        try:
            if not mirror.has(pack.revision):
                message = f"the commit {pack.revision[:12]} of {redact(pack.source)} was not fetched yet"
                raise SourceError("no-such-ref", message, remedy="it is fetched with the next look at the repository")
            checked = (pack.revision, pack.verify)
            if checked not in self._verified:
                mirror.verify(pack.revision)
                self._verified.add(checked)
            tree = mirror.read(pack.revision, root=pack.root).beneath(pack.root)
        except SourceError as error:
            raise self._in_words_of_packs(error) from None
        if tree.revision != pack.revision:
            message = f"{pack.revision[:12]} of {redact(pack.source)} is a tag, and a pack is pinned to a commit"
            raise SourceError("no-such-ref", message, remedy=f"write the commit that it is of: {tree.revision}")
        return tree

    def _asked(self, pack: PackSettings, env: Mapping[str, str], ask: Callable[[Mirror], _Answer]) -> _Answer:
        try:
            if pack.is_builtin:
                make_repository(self._builtin, timeout=self._timeout)
            return ask(self._mirror(pack, self._token(pack, env)))
        except SourceError as error:
            raise self._in_words_of_packs(error) from None
        except TraplineError as error:
            raise SourceError("no-access", error.message, remedy=error.remedy) from None

    def _token(self, pack: PackSettings, env: Mapping[str, str]) -> str:
        return str(resolve_secrets({"token": pack.token}, env)["token"]) if pack.token else ""

    @property
    def _builtin(self) -> Path:
        return self._folder / "builtin-source.git"

    def _mirror(self, pack: PackSettings, token: str = "") -> Mirror:
        """A mirror is kept for what was read last; one with a token asks, and is not."""
        source = str(self._builtin) if pack.is_builtin else pack.source
        key = (source, pack.ref, pack.verify)
        if not token and key in self._mirrors:
            return self._mirrors[key]
        mirror = Mirror(
            source,
            self._folder / f"{fingerprint(pack.source.encode(), pack.ref.encode())[:16]}.git",
            ref=pack.ref,
            timeout=self._timeout,
            access=replace(self._access, token=token),
            trust=self._trust(pack.verify) if pack.verify else None,
            largest=self._largest,
            patience=1,  # a stranger's server that hangs must not hold up what else is merged meanwhile
        )
        if not token:
            self._mirrors[key] = mirror
        return mirror

    def _trust(self, signed: SignedBy) -> Trust:
        """The keys as a file, as git wants them; it is named by what is in it."""
        text = signed.ssh or signed.gpg or ""
        place = self._folder / f"keys-{fingerprint(text.encode())[:16]}"
        if not place.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            half = place.with_name(f".{uuid.uuid4().hex}")
            half.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
            half.replace(place)
        return Trust("ssh" if signed.ssh else "gpg", place)

    def _in_words_of_packs(self, error: SourceError) -> SourceError:
        message, remedy = error.message, error.remedy
        for ours, theirs in _WORDS.items():
            remedy = remedy.replace(ours, theirs)
        for part in self._folder.glob("keys-*"):
            message, remedy = (text.replace(str(part), "`verify` of the pack") for text in (message, remedy))
        return SourceError(error.code, message, remedy=remedy)
