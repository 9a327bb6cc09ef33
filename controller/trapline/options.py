"""What differs per machine, and what a home remembers of it, so that no later command needs to be told again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from trapline.source.access import Access
from trapline.source.verify import Trust

GIT_SECONDS = 60.0  # a first clone may take ten times that


@dataclass(frozen=True, slots=True)
class Options:
    """What differs per machine: flags and TRAPLINE_* variables. `sandbox` and `base_image` override trapline.yml.

    What is empty is as the home was last run, for every command after the first.
    """

    home: Path
    repository: str = ""
    ref: str = ""
    root: str = ""
    sandbox: str | None = None
    base_image: str | None = None
    access: Access = field(default_factory=Access)
    trust: Trust | None = None
    verify_off: bool = False  # not as the home was last run
    git_seconds: float = GIT_SECONDS


def remembered(options: Options) -> dict[str, str]:
    """The flags that later commands on this home need. A URL with a password in it is not kept, nor is a token."""
    flags = {
        "repository": "" if _may_hold_a_secret(options) else options.repository,
        "ref": options.ref,
        "root": options.root,
        "sandbox": options.sandbox,
        "base_image": options.base_image,
        "token_file": options.access.token_file,
        "ssh_key": options.access.ssh_key,
        "known_hosts": options.access.known_hosts,
        "verify": options.trust.mode if options.trust else None,
        "trusted_keys": options.trust.keys if options.trust else None,
    }
    return {name: str(value) for name, value in flags.items() if value}


def recalled(options: Options, flags: Mapping[str, str]) -> Options:
    """The options with what is not given taken from the home's last run."""

    def path(given: Path | None, name: str) -> Path | None:
        return given or (Path(flags[name]) if name in flags else None)

    access = options.access
    trust = options.trust
    if trust is None and "verify" in flags and not options.verify_off:
        trust = Trust("gpg" if flags["verify"] == "gpg" else "ssh", Path(flags["trusted_keys"]))
    return replace(
        options,
        repository=options.repository or flags.get("repository", ""),
        ref=options.ref or flags.get("ref", "main"),
        root=options.root or flags.get("root", ""),
        sandbox=options.sandbox or flags.get("sandbox"),
        base_image=options.base_image or flags.get("base_image"),
        access=replace(
            access,
            token_file=None if access.token else path(access.token_file, "token_file"),
            ssh_key=path(access.ssh_key, "ssh_key"),
            known_hosts=path(access.known_hosts, "known_hosts"),
        ),
        trust=trust,
    )


def _may_hold_a_secret(options: Options) -> bool:
    """A password in the URL, or a lone user, which some forges take a token for."""
    url = urlsplit(options.repository if "://" in options.repository else "")
    lone = url.scheme in ("http", "https") and url.username and not (options.access.token_file or options.access.token)
    return bool(url.password or lone)
