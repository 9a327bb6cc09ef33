"""Plugins as strangers ship them: distributions that are built, and installed by an installer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1.2"
dependencies = {requires}

[project.entry-points.trapline]
{entry_point} = "{module}"
"""
MODULE = """\
from trapline_plugins.api import Delivered, Destination, DestinationConfig, hookimpl


class Carrier(Destination):
    kind = "{kind}"
    config_model = DestinationConfig

    def render(self, notification):
        return ""

    def send(self, notification, rendered, ref):
        return Delivered()


@hookimpl
def register_destinations():
    return [Carrier]
"""
API = version("trapline-plugins")


def project(folder: Path, name: str, *requires: str, kind: str = "", source: str = "", entry_point: str = "") -> Path:
    """A project of one module."""
    module = name.replace("-", "_")
    root = folder / name
    root.mkdir()
    text = PROJECT.format(name=name, requires=json.dumps(requires), entry_point=entry_point or name, module=module)
    (root / "pyproject.toml").write_text(text)
    (root / f"{module}.py").write_text(source or MODULE.format(kind=kind))
    return root


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `plugins list` says where one good plugin is installed beside all sorts of others."""
    folder, target = tmp_path_factory.mktemp("projects"), tmp_path_factory.mktemp("installed")
    projects = [
        project(folder, "acme-good", f"trapline-plugins=={API}", "pluggy", kind="good"),
        project(folder, "acme-same", kind="good"),
        project(folder, "acme-newer", f"trapline-plugins>{API}", source="raise SystemExit('it was imported')"),
        project(folder, "acme-older", "Trapline_Plugins<0.1", kind="older"),
        project(folder, "acme-product", "trapline>=99", kind="product"),
        project(folder, "acme-elsewhere", "trapline-plugins>=99; sys_platform == 'vax'", kind="elsewhere"),
        project(folder, "acme-extra", "trapline-plugins>=99; extra == 'next'", kind="extra"),
        project(folder, "acme-broken", "msal", source="import no_such_module"),
        project(folder, "acme-twin", kind="twin", entry_point="acme-good"),
        project(folder, "acme-old-api", source=MODULE.format(kind="old").replace("rendered, ref", "rendered")),
    ]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--quiet"]
    where = ["--python", sys.executable, "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*uv, *where, *map(str, projects)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "trapline", "plugins", "list", "--json"],
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    return {one["distribution"]: one for one in json.loads(done.stdout)}


def test_what_is_good_works_beside_all_that_is_not(listing: dict[str, Any]) -> None:
    good = {name: one["kinds"] for name, one in listing.items() if one["ok"]}
    assert good.pop("trapline-plugins")
    assert good == {
        "acme-good": ["good"],
        "acme-twin": ["twin"],
        "acme-elsewhere": ["elsewhere"],
        "acme-extra": ["extra"],
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("acme-same", "it brings the kind 'good', which acme-good (acme-good 1.2) brought before it"),
        ("acme-newer", f"it asks for trapline-plugins>{API}, and {API} is installed"),
        ("acme-older", f"it asks for trapline-plugins<0.1, and {API} is installed"),
        ("acme-product", f"it asks for trapline>=99, and {version('trapline')} is installed"),
        ("acme-broken", "ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "acme-old-api",
            "Carrier.send cannot be called with (notification, rendered, ref): was it written for another API?",
        ),
    ],
)
def test_each_of_the_others_is_listed_with_its_reason(listing: dict[str, Any], name: str, reason: str) -> None:
    assert (listing[name]["ok"], listing[name]["reason"], listing[name]["version"]) == (False, reason, "1.2")
