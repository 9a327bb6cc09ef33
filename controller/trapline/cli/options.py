"""The flags that several commands share; each can come from a TRAPLINE_* variable instead."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from trapline.clock import system_clock
from trapline.config.units import parse_duration, parse_size
from trapline.errors import TraplineError
from trapline.window import Window

if TYPE_CHECKING:
    from trapline.options import Options
    from trapline.state.database import Database

DEFAULT_HOME = Path.home() / ".trapline"
BACKENDS = ("auto", "docker", "bubblewrap", "process")


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--home`: where a controller keeps its state, mirror and builds."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
        envvar="TRAPLINE_HOME",
        default=DEFAULT_HOME,
        show_default="~/.trapline",
        help="The controller's home: state, mirror, builds and, by default, the lake.",
    )(command)


def sandbox_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--sandbox` and `--base-image`, which win over trapline.yml."""
    command = click.option(
        "--base-image",
        envvar="TRAPLINE_BASE_IMAGE",
        help="The image that detections are built on (docker); wins over trapline.yml.",
    )(command)
    return click.option(
        "--sandbox",
        type=click.Choice(BACKENDS),
        envvar="TRAPLINE_SANDBOX",
        help="How detections are isolated; wins over trapline.yml.",
    )(command)


class Point(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click alone
    """A point in time: a period before another (`30d`), a date or a moment, in UTC."""

    name = "point"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | datetime:
        if not isinstance(value, str):
            return cast("timedelta | datetime", value)  # click converts a default once more
        try:
            return parse_duration(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is none: write 30d, 12h, 2026-11-01 or 2026-11-01T06:30:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Parsed(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click alone
    """What trapline.yml has too, read in the same way: a size such as `20GB`, a period such as `7d`."""

    def __init__(self, name: str, parse: Callable[[Any], Any]) -> None:
        """`parse` raises ValueError with what is wrong."""
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SIZE = Parsed("size", parse_size)
PERIOD = Parsed("period", parse_duration)


def window_options(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--since` and `--until` as one `window` of the past, by default of this length until now."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def wrapped(*, since: timedelta | datetime, until: timedelta | datetime | None, **others: Any) -> Any:
            return command(window=_window(since, until, system_clock()), **others)

        decorated = click.option(
            "--until", type=Point(), metavar="POINT", help="Where it ends: a date or moment (UTC), or so long ago; now."
        )(wrapped)
        return click.option(
            "--since",
            type=Point(),
            metavar="POINT",
            default=default,
            show_default=True,
            help="Where the past that is looked at begins: so long before its end (30d, 12h), a date, a moment (UTC).",
        )(decorated)

    return decorate


def _window(since: timedelta | datetime, until: timedelta | datetime | None, now: datetime) -> Window:
    end = now - until if isinstance(until, timedelta) else until or now
    start = end - since if isinstance(since, timedelta) else since
    if start >= end:
        raise click.UsageError(f"--since is not before --until: {start.isoformat()} and {end.isoformat()}")
    return Window(start, end)


_FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)
_SOURCE = (
    click.option(
        "--repository", envvar="TRAPLINE_REPOSITORY", default="", help="The detections repository: a git URL or a path."
    ),
    click.option(
        "--ref", envvar="TRAPLINE_REF", default="", help="The branch or tag to follow; main, if never said otherwise."
    ),
    click.option(
        "--root", envvar="TRAPLINE_ROOT", default="", help="The folder of the repository with trapline.yml in it."
    ),
    click.option(
        "--git-token-file",
        type=_FILE,
        envvar="TRAPLINE_GIT_TOKEN_FILE",
        help="A file with a token for https, read anew each time; or set TRAPLINE_GIT_TOKEN.",
    ),
    click.option("--ssh-key", type=_FILE, envvar="TRAPLINE_SSH_KEY", help="The private key for ssh."),
    click.option("--known-hosts", type=_FILE, envvar="TRAPLINE_KNOWN_HOSTS", help="The only hosts that ssh trusts."),
    click.option(
        "--verify",
        type=click.Choice(("ssh", "gpg", "off")),
        envvar="TRAPLINE_VERIFY",
        help="Deploy only commits with a good signature of this kind; off, if never said otherwise.",
    ),
    click.option(
        "--trusted-keys",
        type=_FILE,
        envvar="TRAPLINE_TRUSTED_KEYS",
        help="Whose signatures are good: an allowed-signers file (ssh) or exported public keys (gpg).",
    ),
)


def controller_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Everything that says which repository a home follows and how, as one `options`.

    What is not given is as the home was last run.
    """

    @functools.wraps(command)
    def wrapped(
        *,
        home: Path,
        repository: str,
        ref: str,
        root: str,
        git_token_file: Path | None,
        ssh_key: Path | None,
        known_hosts: Path | None,
        verify: str | None,
        trusted_keys: Path | None,
        sandbox: str | None,
        base_image: str | None,
        **others: Any,
    ) -> Any:
        from trapline.options import Options  # only where a command needs all that it brings
        from trapline.source.access import Access
        from trapline.source.verify import Trust

        if verify != "off" and bool(verify) != bool(trusted_keys):
            raise click.UsageError("--verify ssh or gpg and --trusted-keys go together")
        options = Options(
            home,
            repository_url(repository) if repository else "",
            ref,
            root,
            sandbox,
            base_image,
            Access(os.environ.get("TRAPLINE_GIT_TOKEN", ""), git_token_file, ssh_key, known_hosts),
            Trust("gpg" if verify == "gpg" else "ssh", trusted_keys) if trusted_keys and verify != "off" else None,
            verify_off=verify == "off",
        )
        return command(options=options, **others)

    result: Callable[..., Any] = wrapped
    for option in reversed(_SOURCE):
        result = option(result)
    return home_option(sandbox_options(result))


def in_use(options: Options) -> Options:
    """The options, where their home is one that a controller has used. Raises TraplineError where it is not."""
    existing_database(options.home).close()
    return options


def repository_url(text: str) -> str:
    """A path made absolute, since git runs elsewhere; any other address as it is."""
    return str(Path(text).resolve()) if Path(text).exists() else text


def make_folder(folder: Path) -> Path:
    """The folder, made where there is none. Raises TraplineError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraplineError(
            f"the folder {folder} cannot be made: {error.strerror}", remedy="name another, or correct the permissions"
        ) from error
    return folder.resolve()


def existing_database(home: Path) -> Database:
    """The state of a home that a controller has used. Raises TraplineError where there is none."""
    if not (home / "trapline.db").is_file():
        raise TraplineError(
            f"{home} is not the home of a controller: it has no trapline.db",
            remedy="name the home with --home or TRAPLINE_HOME, or make one with `trapline controller --once`",
        )
    from trapline.state.database import Database  # which takes long to load

    return Database.in_home(home)
