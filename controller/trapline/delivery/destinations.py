"""The configured destinations: trapline.yml's `destinations`, made into instances of what plugins bring."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trapline import __version__
from trapline.config.redact import hide_secrets
from trapline.config.secrets import SecretError, resolve_secrets
from trapline.config.words import did_you_mean, dotted
from trapline.delivery.plugins import Plugins, describe_exception
from trapline.errors import Problem
from trapline.settings import DestinationSettings, Settings
from trapline_plugins.api import Destination, Tools

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
    settings: Settings, plugins: Plugins, *, env: Mapping[str, str], tools: Tools, ask_aws: bool = True
) -> tuple[Mapping[str, Destination[Any]], list[Problem]]:
    """The destinations that can be used, by name, and what is wrong with the others."""
    configured = ConfiguredDestinations(settings, plugins, env=env, tools=tools, ask_aws=ask_aws)
    return configured.usable, configured.refresh()


class ConfiguredDestinations:
    """The destinations of the settings, each made when its secrets can be read, and anew when one of them changes."""

    def __init__(
        self, settings: Settings, plugins: Plugins, *, env: Mapping[str, str], tools: Tools, ask_aws: bool = True
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._env = env
        self._tools = tools
        self._ask_aws = ask_aws
        self._usable: dict[str, Destination[Any]] = {}
        self._made_of: dict[str, dict[str, Any]] = {}
        self._wrong: dict[str, list[Problem]] = {}
        self.usable: Mapping[str, Destination[Any]] = MappingProxyType(self._usable)
        """Those that can be used, by name. It follows every `refresh`."""

    def refresh(self) -> list[Problem]:
        """Reads the secrets again, and says what is wrong with the destinations that cannot be used."""
        for name, configured in self._settings.destinations.items():
            try:
                self._refresh(name, configured)
            except _Unusable as error:
                self._usable.pop(name, None)
                self._wrong[name] = [
                    self._settings.problem(("destinations", name, *found.path), found.message, found.remedy, found.code)
                    for found in error.findings
                ]
        return [problem for name in self._settings.destinations for problem in self._wrong.get(name, ())]

    def _refresh(self, name: str, configured: DestinationSettings) -> None:
        kind = self._plugins.destinations.get(configured.type)
        if kind is None:
            raise _unknown_type(name, configured.type, self._plugins)
        before = self._made_of.pop(name, None)
        options = self._with_secrets(name, configured.options, kind)
        self._made_of[name] = options
        if options != before:
            self._usable[name] = _build(name, kind, options, self._tools)
            self._wrong.pop(name, None)

    def _with_secrets(self, name: str, options: Mapping[str, Any], kind: type[Destination[Any]]) -> dict[str, Any]:
        resolved: dict[str, Any] = {}
        unread: dict[str | int, _Finding] = {}
        for key, value in options.items():
            try:
                resolved |= resolve_secrets({key: value}, self._env, destination=name, ask_aws=self._ask_aws)
            except SecretError as error:
                unread[key] = _Finding((key,), error.message, error.remedy, "secret-missing")
        if unread:  # the settings beside them are looked at all the same
            others = [found for found in _wrong_settings(name, kind, resolved) if found.path[:1]]
            raise _Unusable(*unread.values(), *(found for found in others if found.path[0] not in unread))
        return resolved


class _Finding(NamedTuple):
    """What is wrong with one setting; `path` begins below the destination's name."""

    path: tuple[str | int, ...]
    message: str
    remedy: str
    code: str


class _Unusable(Exception):
    """Why a destination is left out."""

    def __init__(self, *findings: _Finding) -> None:
        super().__init__()
        self.findings = findings


def _build(name: str, kind: type[Destination[Any]], options: Mapping[str, Any], tools: Tools) -> Destination[Any]:
    if wrong := _wrong_settings(name, kind, options):
        raise _Unusable(*wrong)
    try:
        return kind(name, kind.config_model.model_validate(options), tools)
    except (Exception, SystemExit) as error:
        message = f"destination '{name}' cannot be made: a bug in the plugin: {describe_exception(error)}"
        remedy = f"tell the author of the plugin that brings '{kind.kind}': `trapline plugins list`"
        raise _Unusable(_Finding(("type",), hide_secrets(message, options), remedy, "destination-broken")) from None


def _wrong_settings(name: str, kind: type[Destination[Any]], options: Mapping[str, Any]) -> list[_Finding]:
    try:
        kind.config_model.model_validate(options)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return [_finding(name, kind, detail, options) for detail in details]
    except (Exception, SystemExit):
        return []  # a bug in the plugin, which is told of where the destination is made
    return []


def _unknown_type(name: str, kind: str, plugins: Plugins) -> _Unusable:
    install = f"install the plugin that brings '{kind}' with `pip install`; `trapline plugins list` shows what is there"
    remedy = f"{did_you_mean(kind, plugins.destinations)} {install}".strip()
    broken = ", ".join(f"{info} is quarantined: {info.reason}" for info in plugins.listing if not info.ok)
    message = f"destination '{name}' has the unknown type '{kind}'" + (f"; {broken}" if broken else "")
    return _Unusable(_Finding(("type",), message, remedy, "destination-type"))


def _finding(
    name: str, destination: type[Destination[Any]], detail: ErrorDetails, options: Mapping[str, Any]
) -> _Finding:
    """One setting that is wrong, in words that never repeat its value: it may be a secret."""
    path = detail["loc"]
    setting, known = f"`{dotted(path)}` of destination '{name}'", list(destination.config_model.model_fields)
    described = destination.config_model.model_fields.get(str(path[0])) if path else None
    remedy = f"`{path[0]}`: {described.description}" if described and described.description else ""
    match detail["type"]:
        case "missing":
            message, remedy = f"{setting} is missing", f"add `{path[-1]}`"
        case "extra_forbidden":
            message = f"{setting} is no setting of '{destination.kind}'"
            remedy = did_you_mean(str(path[-1]), known) or f"its settings are: {', '.join(known) or 'none'}"
        case _:
            words = detail["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
            message = f"{setting} is wrong: {words}"
    return _Finding(path, hide_secrets(message, options), remedy, "destination-option")
