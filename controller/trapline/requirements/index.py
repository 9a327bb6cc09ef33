"""Where packages come from: pip's standard settings, said in uv's words. uv reads its own settings itself.

Whatever uv's own variables or uv.toml say of an option wins over what pip's say of it.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from configparser import Error as ConfigError
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

from trapline.errors import TraplineError

_EXTRA, _STRATEGY = "UV_INDEX", "UV_INDEX_STRATEGY"
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})


@dataclass(frozen=True, slots=True)
class UvSettings:
    """What uv is run with: variables to be set besides those that are there, and flags that have no variable."""

    env: Mapping[str, str]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Option:
    """One of pip's options. The first of uv's variables is the one to be set, where none of them is."""

    pip: str
    variables: tuple[str, ...]
    keys: tuple[str, ...]  # in uv.toml
    separator: str


_OPTIONS = (
    _Option("index-url", ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("index-url", "index"), " "),
    _Option("extra-index-url", (_EXTRA, "UV_EXTRA_INDEX_URL"), ("extra-index-url", "index"), " "),
    _Option("find-links", ("UV_FIND_LINKS",), ("find-links",), ","),
    _Option("trusted-host", ("UV_INSECURE_HOST",), ("allow-insecure-host",), " "),
    _Option("cert", ("SSL_CERT_FILE",), (), " "),
)


def find_settings(env: Mapping[str, str]) -> UvSettings:
    """The settings of this machine and user. Raises TraplineError for a pip.conf that cannot be read."""
    return uv_settings(env, pip=_texts(_pip_files(env)), uv=_texts(_uv_files(env)))


def uv_settings(env: Mapping[str, str], *, pip: Mapping[str, str], uv: Mapping[str, str]) -> UvSettings:
    """`pip` and `uv` are configuration files, text by path, of which a later one wins. Pure."""
    wanted = _pip_options(env, pip)
    said = _keys(uv.values())
    found: dict[str, str] = {}
    for option in _OPTIONS:
        values = [_home(value, env) for value in wanted.get(option.pip, "").split()]
        if values and not any(env.get(name) for name in option.variables) and said.isdisjoint(option.keys):
            found[option.variables[0]] = option.separator.join(values)
    if _EXTRA in found and not env.get(_STRATEGY) and said.isdisjoint({"index-strategy"}):
        # pip looks everywhere. Here an index is only asked for what those before it do not have.
        found[_STRATEGY] = "unsafe-first-match"
    uv_has_index = any(env.get(name) for option in _OPTIONS[:2] for name in option.variables)
    no_index = wanted.get("no-index", "").lower() in _TRUE and not uv_has_index
    return UvSettings(found, ("--no-index",) if no_index else ())


def _pip_options(env: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
    """pip's order: what [global] says in any file, then [install], then PIP_* variables."""
    parsed = [_parse(path, text) for path, text in files.items()]
    options: dict[str, str] = {}
    for section in ("global", "install"):
        for parser in parsed:
            if parser.has_section(section):
                options |= {name.lower().replace("_", "-"): value for name, value in parser.items(section) if value}
    options |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in env.items()
        if name.startswith("PIP_") and value
    }
    return options


def _parse(path: str, text: str) -> RawConfigParser:
    parser = RawConfigParser()
    try:
        parser.read_string(text, source=path)
    except ConfigError as error:
        place = f"{path}:{number}" if (number := _line(error)) else path
        remedy = "correct the file, or name another in PIP_CONFIG_FILE"
        # Without what the line says, here and in the traceback: it may be an address with a password.
        raise TraplineError(f"pip's settings cannot be read: there is a mistake at {place}", remedy=remedy) from None
    return parser


def _line(error: ConfigError) -> int:
    """The first line that a parser did not take; 0 where it names none."""
    lines = [number for number, _ in getattr(error, "errors", ())]  # of a ParsingError; others have one number
    return int(getattr(error, "lineno", None) or next(iter(lines), 0))


def _keys(texts: Iterable[str]) -> set[str]:
    """The options that uv.toml files set. What is wrong with such a file, uv says itself."""
    keys: set[str] = set()
    for text in texts:
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
        part = document.get("pip")
        keys |= document.keys() | (part.keys() if isinstance(part, dict) else set())
    return keys


def _home(value: str, env: Mapping[str, str]) -> str:
    return f"{env['HOME']}{value[1:]}" if value.startswith("~/") and env.get("HOME") else value


def _pip_files(env: Mapping[str, str]) -> list[Path]:
    """In pip's order, the last one winning: the machine's, the user's, the environment's, the one that is named."""
    named = env.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    machine = [*(folder / "pip" for folder in _shared(env)), Path("/etc")]
    user = [Path(env["HOME"], ".pip")] if env.get("HOME") else []
    folders = [*machine, *user, *(folder / "pip" for folder in _own(env)), Path(sys.prefix)]
    return [folder / "pip.conf" for folder in folders] + ([Path(named)] if named else [])


def _uv_files(env: Mapping[str, str]) -> list[Path]:
    if env.get("UV_NO_CONFIG", "").lower() in _TRUE:
        return []
    if named := env.get("UV_CONFIG_FILE"):
        return [Path(named)]
    return [folder / "uv" / "uv.toml" for folder in (*_shared(env), Path("/etc"), *_own(env))]


def _shared(env: Mapping[str, str]) -> list[Path]:
    found = [Path(folder) for folder in (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if folder]
    return [*found, Path("/Library/Application Support")] if sys.platform == "darwin" else found


def _own(env: Mapping[str, str]) -> list[Path]:
    home = Path(env["HOME"]) if env.get("HOME") else None
    own = env.get("XDG_CONFIG_HOME")
    found = [Path(own)] if own else [home / ".config"] if home else []
    return [*found, home / "Library/Application Support"] if home and sys.platform == "darwin" else found


def _texts(paths: Iterable[Path]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for path in paths:
        try:
            texts[str(path)] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):  # pip and uv pass over what is not there, too
            continue
    return texts
