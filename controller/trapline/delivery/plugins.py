"""Finding plugins: every distribution with an entry point in the group `trapline`, each tried on its own.

A plugin that cannot be loaded is quarantined with the reason and listed; the others never notice. That is why each gets
a plugin manager to itself: in a shared one a broken hook keeps the hooks after it from being called.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import Distribution, EntryPoint
from types import MappingProxyType
from typing import Any

import pluggy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from trapline.config.words import did_you_mean
from trapline_plugins import api
from trapline_plugins.api import ENTRY_POINT_GROUP, Destination, DestinationConfig, Kind, Rate

BUILTIN_DISTRIBUTION = "trapline-plugins"
_OURS = (BUILTIN_DISTRIBUTION, "trapline")
_CALLED = ("__init__", "render", "send", "find", "check")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin that is installed: what it brings, or why it is quarantined."""

    name: str
    distribution: str
    version: str
    kinds: tuple[str, ...]
    ok: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})" if self.distribution else self.name


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the installed plugins bring together, by kind, and the list of them all, quarantined ones included."""

    destinations: Mapping[str, type[Destination[Any]]]
    listing: tuple[PluginInfo, ...]


class _Unfit(Exception):
    """Why a plugin is quarantined, in words for a person."""


def load_plugins(entry_points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Loads every installed plugin (or those given). Never raises for what a plugin does wrong."""
    found = list(_installed() if entry_points is None else map(_Found.of, entry_points))
    destinations: dict[str, type[Destination[Any]]] = {}
    owners: dict[str, PluginInfo] = {}
    listing: list[PluginInfo] = []
    # The built-ins go first, so that no stranger takes a kind of theirs away.
    for plugin in sorted(found, key=lambda plugin: plugin.order):
        info, classes = _load(plugin, owners)
        listing.append(info)
        owners.update(dict.fromkeys(info.kinds, info))
        destinations.update(classes)
    return Plugins(MappingProxyType(destinations), tuple(listing))


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry point, or the reason why a distribution's entry points cannot be read."""

    entry_point: EntryPoint | None
    info: PluginInfo

    @classmethod
    def of(cls, entry_point: EntryPoint) -> _Found:
        distribution = entry_point.dist
        name, version = (distribution.name, distribution.version) if distribution else ("", "")
        return cls(entry_point, PluginInfo(entry_point.name, name, version, (), True, ""))

    @property
    def order(self) -> tuple[bool, str, str]:
        return self.info.distribution != BUILTIN_DISTRIBUTION, self.info.distribution, self.info.name


def _installed() -> Iterator[_Found]:
    # importlib.metadata.entry_points() would raise for all where one distribution's metadata is broken.
    seen: set[str] = set()
    for distribution in filter(_mentions_us, importlib.metadata.distributions()):
        try:
            name = canonicalize_name(distribution.name)
            if name in seen:
                continue
            seen.add(name)
            # One that comes earlier on the path shadows it, even where that has no plugin.
            first = importlib.metadata.distribution(name)
            yield from [_Found.of(point) for point in first.entry_points.select(group=ENTRY_POINT_GROUP)]
        except Exception as error:
            name = canonicalize_name(str(distribution.metadata["Name"] or "?"))
            reason = f"its metadata cannot be read: {describe_exception(error)}"
            yield _Found(None, PluginInfo(name, name, "", (), False, reason))


def _mentions_us(distribution: Distribution) -> bool:
    try:
        return f"[{ENTRY_POINT_GROUP}]" in (distribution.read_text("entry_points.txt") or "")
    except Exception:
        return False


def _load(plugin: _Found, owners: Mapping[str, PluginInfo]) -> tuple[PluginInfo, dict[str, type[Destination[Any]]]]:
    if plugin.entry_point is None:
        return plugin.info, {}
    try:
        _check_versions(plugin.entry_point.dist)
        classes = _by_kind(_register(plugin.entry_point))
        for kind in classes.keys() & owners.keys():
            raise _Unfit(f"it brings the kind '{kind}', which {owners[kind]} brought before it")
    except KeyboardInterrupt:
        raise
    except _Unfit as error:
        return replace(plugin.info, ok=False, reason=str(error)), {}
    except BaseException as error:  # importing a module can raise whatever its author likes, SystemExit included
        return replace(plugin.info, ok=False, reason=describe_exception(error)), {}
    return replace(plugin.info, kinds=tuple(classes)), classes


def _check_versions(distribution: Distribution | None) -> None:
    """Nothing of a plugin is imported that says itself that it was written for another version of us."""
    for requirement in map(Requirement, (distribution.requires if distribution else None) or ()):
        name = canonicalize_name(requirement.name)
        meant = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in _OURS and meant:
            installed = importlib.metadata.version(name)
            if not requirement.specifier.contains(installed, prereleases=True):
                raise _Unfit(f"it asks for {name}{requirement.specifier}, and {installed} is installed")


def _register(entry_point: EntryPoint) -> list[Any]:
    """Loads one plugin and calls its hook."""
    manager = pluggy.PluginManager(ENTRY_POINT_GROUP)
    manager.add_hookspecs(api)
    plugin = entry_point.load()
    manager.register(plugin, entry_point.name)
    hooks = manager.get_hookcallers(plugin) or []
    known = [name for name in vars(manager.hook) if getattr(manager.hook, name).has_spec()]
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        unknown = next(hook.name for hook in hooks if not hook.has_spec())
        hint = did_you_mean(unknown, known)
        raise _Unfit(f"it implements the hook '{unknown}', which there is not; {hint}".rstrip("; ")) from error
    if not hooks:
        raise _Unfit(f"it implements no hook; those there are: {', '.join(known)} (is @hookimpl missing?)")
    return list(manager.hook.register_destinations())


def _by_kind(results: list[Any]) -> dict[str, type[Destination[Any]]]:
    classes: dict[str, type[Destination[Any]]] = {}
    for result in results:
        if not isinstance(result, list | tuple):
            raise _Unfit(f"register_destinations returned {_name(result)} instead of a list of Destination classes")
        for candidate in result:
            checked = _checked(candidate)
            if checked.kind in classes:
                raise _Unfit(f"it brings the kind '{checked.kind}' twice")
            classes[checked.kind] = checked
    return classes


def _checked(candidate: Any) -> type[Destination[Any]]:
    """The class, where it is one that instances can be made of and settings be read for."""
    if not (isinstance(candidate, type) and issubclass(candidate, Destination)):
        raise _Unfit(f"register_destinations returned {_name(candidate)}, which is no subclass of Destination")
    destination: type[Destination[Any]] = candidate
    if inspect.isabstract(destination):
        missing = ", ".join(sorted(destination.__abstractmethods__))
        raise _Unfit(f"{candidate.__name__} does not implement {missing}")
    kind, model = getattr(destination, "kind", None), getattr(destination, "config_model", None)
    if not (isinstance(kind, str) and _KIND.fullmatch(kind)):
        raise _Unfit(f"{destination.__name__}.kind is not a short text of small letters, digits, - and _")
    if not (isinstance(model, type) and issubclass(model, DestinationConfig)):
        raise _Unfit(f"{destination.__name__}.config_model is no subclass of DestinationConfig")
    if not isinstance(destination.kinds, frozenset) or not destination.kinds <= frozenset(Kind):
        raise _Unfit(f"{destination.__name__}.kinds is not a frozenset of Kind")
    if not (isinstance(destination.at_once, int) and destination.at_once >= 1):
        raise _Unfit(f"{destination.__name__}.at_once is not a number of threads, 1 or more")
    rate = destination.rate
    if rate is not None and not (isinstance(rate, Rate) and rate.count >= 1 and rate.period > timedelta()):
        raise _Unfit(f"{destination.__name__}.rate is not a Rate of 1 or more within some time")
    for method in _CALLED:
        _check_arguments(destination, method)
    return destination


def _check_arguments(destination: type[Destination[Any]], method: str) -> None:
    """Whether a method takes what the router calls it with; one that was written for another API does not."""
    function = getattr(destination, method)
    asked = list(inspect.signature(getattr(Destination, method)).parameters)
    if inspect.isfunction(function):
        try:
            inspect.signature(function).bind(*asked)
        except TypeError:
            arguments = ", ".join(asked[1:])
            raise _Unfit(
                f"{destination.__name__}.{method} cannot be called with ({arguments}): was it written for another API?"
            ) from None


def _name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


def describe_exception(error: BaseException) -> str:
    """What a plugin's exception says, with its type."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
