"""The configured destinations: trapline.yml's `destinations`, made into instances of what plugins bring."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from trapline_plugins.api import Destination, Tools

from trapline import __version__
from trapline.alerts.plugins import Plugins, describe_exception
from trapline.alerts.redact import hide
from trapline.config.words import did_you_mean, dotted
from trapline.errors import Problem
from trapline.settings import DestinationSettings, Settings, SettingsError, resolve_secrets

_TIMEOUT_SECONDS = 10.0


def make_tools(now: Callable[[], datetime], write: Callable[[str], None]) -> Tools:
    """What every destination is handed. `write` is called by one thread at a time."""
    lock = threading.Lock()

    def write_whole(text: str) -> None:
        with lock:
            write(text)

    http = httpx.Client(
        follow_redirects=False,
        timeout=_TIMEOUT_SECONDS,
        headers={"User-Agent": f"trapline/{__version__}"},
    )
    return Tools(http=http, now=now, write=write_whole)


def build_destinations(
    settings: Settings, plugins: Plugins, *, env: Mapping[str, str], tools: Tools
) -> tuple[dict[str, Destination[Any]], list[Problem]]:
    """The destinations that can be used, by name, and what is wrong with the others."""
    built: dict[str, Destination[Any]] = {}
    problems: list[Problem] = []
    for name, configured in settings.destinations.items():
        try:
            built[name] = _build(name, configured, plugins, env, tools)
        except _Unusable as error:
            problems += [settings.problem(("destinations", name, *path), *words) for path, *words in error.findings]
    return built, problems


class _Unusable(Exception):
    """Why a destination is left out: (path below it, message, remedy, code) for each finding."""

    def __init__(self, *findings: tuple[tuple[str | int, ...], str, str, str]) -> None:
        super().__init__()
        self.findings = findings


def _build(
    name: str, configured: DestinationSettings, plugins: Plugins, env: Mapping[str, str], tools: Tools
) -> Destination[Any]:
    destination = plugins.destinations.get(configured.type)
    if destination is None:
        raise _unknown_type(name, configured.type, plugins)
    try:
        options = resolve_secrets(configured.options, env)
    except SettingsError as error:
        raise _Unusable(((), f"destination '{name}': {error.message}", error.remedy, "destination-secret")) from error
    secrets = _resolved(configured.options, options)
    try:
        return destination(name, destination.config_model.model_validate(options), tools)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise _Unusable(*(_finding(name, destination, detail, secrets) for detail in details)) from None
    except (Exception, SystemExit) as error:
        message = f"destination '{name}' cannot be made: a bug in the plugin: {describe_exception(error)}"
        remedy = f"tell the author of the plugin that brings '{configured.type}': `trapline plugins list`"
        raise _Unusable((("type",), hide(message, secrets), remedy, "destination-broken")) from None


def _unknown_type(name: str, kind: str, plugins: Plugins) -> _Unusable:
    remedy = (
        did_you_mean(kind, plugins.destinations)
        or f"install the plugin that brings '{kind}' with `pip install`; `trapline plugins list` shows what is there"
    )
    broken = ", ".join(f"{info} is quarantined: {info.reason}" for info in plugins.listing if not info.ok)
    message = f"destination '{name}' has the unknown type '{kind}'" + (f"; {broken}" if broken else "")
    return _Unusable((("type",), message, remedy, "destination-type"))


def _finding(
    name: str, destination: type[Destination[Any]], detail: ErrorDetails, secrets: list[str]
) -> tuple[tuple[str | int, ...], str, str, str]:
    """One setting that is wrong, in words that never repeat its value: it may be a secret."""
    path = detail["loc"]
    setting, known = f"`{dotted(path)}` of destination '{name}'", list(destination.config_model.model_fields)
    remedy = f"see the settings of '{destination.kind}' in docs/reference/destinations.md"
    match detail["type"]:
        case "missing":
            message, remedy = f"{setting} is missing", f"add `{path[-1]}`"
        case "extra_forbidden":
            message = f"{setting} is no setting of '{destination.kind}'"
            remedy = did_you_mean(str(path[-1]), known) or f"its settings are: {', '.join(known) or 'none'}"
        case _:
            words = detail["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
            message = f"{setting} is wrong: {words}"
    return path, hide(message, secrets), remedy, "destination-option"


def _resolved(written: Any, resolved: Any) -> list[str]:
    """The texts that came from outside the file, through a reference."""
    if isinstance(resolved, Mapping) and isinstance(written, Mapping):
        return [text for key in resolved for text in _resolved(written.get(key), resolved[key])]
    if isinstance(resolved, list | tuple) and isinstance(written, list | tuple):
        return [text for pair in zip(written, resolved, strict=True) for text in _resolved(*pair)]
    return [resolved] if isinstance(resolved, str) and resolved != written else []
