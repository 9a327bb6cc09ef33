"""Loading plugins: real distributions on the path, whole and broken."""

import importlib.metadata
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from trapline.delivery.plugins import PluginInfo, Plugins, load_plugins
from trapline_plugins.builtin import register_destinations
from trapline_plugins.console import Console
from trapline_plugins.webhook import Webhook

Install = Callable[..., None]

GOOD = """
    from trapline_plugins.api import Delivered, Destination, DestinationConfig, hookimpl

    class Carrier(Destination):
        kind = "{kind}"
        config_model = DestinationConfig
        def render(self, notification): return ""
        def send(self, notification, rendered, ref): return Delivered()

    @hookimpl
    def register_destinations(): return [Carrier]
"""
API = "from trapline_plugins.api import *\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution with one plugin on the path, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def put(name: str, source: str, *, entry_point: str | None = None, entry_points: str | None = None) -> None:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(dedent(source))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        text = entry_points or f"[trapline]\n{entry_point or name} = {module}\n"
        (info / "entry_points.txt").write_text(text)
        importlib.invalidate_caches()

    yield put
    for module in set(sys.modules) - before:
        del sys.modules[module]


def info(plugins: Plugins, name: str) -> PluginInfo:
    [found] = [info for info in plugins.listing if info.name == name]
    return found


def test_the_built_ins_come_through_the_entry_point() -> None:
    plugins = load_plugins()
    assert plugins.destinations["console"] is Console
    assert plugins.destinations["webhook"] is Webhook
    version, kinds = importlib.metadata.version("trapline-plugins"), tuple(plugins.destinations)
    assert plugins.listing[0] == PluginInfo("builtin", "trapline-plugins", version, kinds, True, "")


def test_a_stranger_is_loaded(install: Install) -> None:
    install("acme-pigeon", GOOD.format(kind="pigeon"))
    plugins = load_plugins()
    assert plugins.destinations["pigeon"].__name__ == "Carrier"
    assert info(plugins, "acme-pigeon") == PluginInfo("acme-pigeon", "acme-pigeon", "1.2", ("pigeon",), True, "")


def test_two_distributions_with_one_entry_point_name_are_both_loaded(install: Install) -> None:
    install("acme-one", GOOD.format(kind="one"), entry_point="acme")
    install("acme-two", GOOD.format(kind="two"), entry_point="acme")
    plugins = load_plugins()
    assert {"one", "two"} <= plugins.destinations.keys()


def test_a_distribution_that_is_on_the_path_twice_is_one(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-pigeon", GOOD.format(kind="pigeon"))
    shutil.copytree(tmp_path / "acme_pigeon-1.2.dist-info", tmp_path / "older" / "Acme_Pigeon-1.1.dist-info")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "older")])
    assert info(load_plugins(), "acme-pigeon").ok


def test_a_distribution_that_has_no_plugin_any_more_shadows_one_that_has(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acme-pigeon", GOOD.format(kind="pigeon"))
    shutil.copytree(tmp_path / "acme_pigeon-1.2.dist-info", tmp_path / "older" / "acme_pigeon-1.1.dist-info")
    (tmp_path / "acme_pigeon-1.2.dist-info" / "entry_points.txt").unlink()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "older")])
    assert "pigeon" not in load_plugins().destinations


def test_a_second_owner_of_a_kind_is_quarantined(install: Install) -> None:
    install("acme-a", GOOD.format(kind="pigeon"))
    install("acme-b", GOOD.format(kind="pigeon"))
    plugins = load_plugins()
    assert info(plugins, "acme-a").ok
    assert info(plugins, "acme-b").reason == "it brings the kind 'pigeon', which acme-a (acme-a 1.2) brought before it"
    assert plugins.destinations["pigeon"].__module__ == "acme_a"


def test_nobody_takes_a_kind_from_the_built_ins(install: Install) -> None:
    install("aaa", GOOD.format(kind="webhook"))
    plugins = load_plugins()
    assert plugins.destinations["webhook"] is Webhook
    assert not info(plugins, "aaa").ok


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
        ("x = 1", "it implements no hook; those there are: register_destinations (is @hookimpl missing?)"),
        (
            API + "@hookimpl\ndef register_destination(): return []",
            "it implements the hook 'register_destination', which there is not; did you mean `register_destinations`?",
        ),
        (API + "@hookimpl\ndef register_destinations(colour): return []", "PluginValidationError: "),
        (API + "@hookimpl\ndef register_destinations(): 1 / 0", "ZeroDivisionError: division by zero"),
        (
            API + "@hookimpl\ndef register_destinations(): return 'x'",
            "register_destinations returned str instead of a list of Destination classes",
        ),
        (
            API + "@hookimpl\ndef register_destinations(): return [int]",
            "register_destinations returned int, which is no subclass of Destination",
        ),
        (
            API + "class D(Destination): pass\n@hookimpl\ndef register_destinations(): return [D]",
            "D does not implement render, send",
        ),
        (GOOD.format(kind="Not OK"), "Carrier.kind is not a short text of small letters, digits, - and _"),
        (GOOD.replace('kind = "{kind}"', ""), "Carrier.kind is not a short text of small letters, digits, - and _"),
        (
            GOOD.format(kind="x").replace("config_model = DestinationConfig", "config_model = dict"),
            "Carrier.config_model is no subclass of DestinationConfig",
        ),
        (
            GOOD.format(kind="x").replace("config_model =", "kinds = {'opened'}\n        config_model ="),
            "Carrier.kinds is not a frozenset of Kind",
        ),
        (
            GOOD.format(kind="x").replace("config_model =", "at_once = 0\n        config_model ="),
            "Carrier.at_once is not a number of threads, 1 or more",
        ),
        (
            GOOD.format(kind="x").replace("config_model =", "rate = 5\n        config_model ="),
            "Carrier.rate is not a Rate of 1 or more within some time",
        ),
        (GOOD.format(kind="x").replace("[Carrier]", "[Carrier, Carrier]"), "it brings the kind 'x' twice"),
        (
            GOOD.format(kind="x").replace("def send(self, notification, rendered, ref)", "def send(self, alert)"),
            "Carrier.send cannot be called with (notification, rendered, ref): was it written for another API?",
        ),
        (
            GOOD.format(kind="x").replace("def render", "def __init__(self, config): ...\n        def render"),
            "Carrier.__init__ cannot be called with (name, config, tools): was it written for another API?",
        ),
    ],
)
def test_a_broken_plugin_is_quarantined_alone(source: str, reason: str, install: Install) -> None:
    install("broken", source)
    install("acme-pigeon", GOOD.format(kind="pigeon"))
    plugins = load_plugins()
    assert info(plugins, "broken").reason.startswith(reason)
    assert not info(plugins, "broken").ok
    ours = {destination.kind for destination in register_destinations()}
    assert plugins.destinations.keys() == {*ours, "pigeon"}


def test_broken_metadata_is_listed(install: Install) -> None:
    install("garbled", "", entry_points="[trapline]\nno equals sign\n")
    plugins = load_plugins()
    assert info(plugins, "garbled").reason.startswith("its metadata cannot be read: ")
    assert "console" in plugins.destinations


def test_an_entry_point_without_a_module(install: Install) -> None:
    plugins = load_plugins([EntryPoint("gone", "no_such.module", "trapline")])
    assert plugins.listing == (PluginInfo("gone", "", "", (), False, "ModuleNotFoundError: No module named 'no_such'"),)
    assert not plugins.destinations


def test_ctrl_c_is_not_swallowed(install: Install) -> None:
    install("interrupted", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()
