"""The reference says what the code says."""

import dataclasses
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.docs import tables
from trapline_plugins import api, builtin, contract, fakes
from trapline_plugins.api import Destination, DestinationConfig, Tools
from trapline_plugins.fakes.faults import Fault
from trapline_plugins.samples import a_notification
from trapline_plugins.webhook import Webhook, WebhookConfig

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "reference/plugin-api.md").read_text()
DESTINATIONS = (DOCS / "reference/destinations.md").read_text()


def made(what: str, of: object) -> bool:
    """Whether the page has this table, as the code has it: that it is so is tested once for all of them."""
    return f"<!-- made: {what} {of} -->\n\n|" in API


def test_every_table_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.docs.tables", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("page", "altered"),
    [
        (API, API.replace("`title: str`", "`title: bytes`")),
        (API, API.replace("| `idempotent: bool", "| `idempotents: bool")),
        (DESTINATIONS, DESTINATIONS.replace("Where to POST to.", "Where to post to.")),
    ],
)
def test_a_table_that_says_something_else_would_be_found(page: str, altered: str) -> None:
    assert altered != page
    assert tables.filled(altered) == page


def test_every_name_of_the_api_is_documented() -> None:
    ours = {name: one for name, one in vars(api).items() if getattr(one, "__module__", "") == api.__name__}
    for name, one in ours.items():
        if dataclasses.is_dataclass(one) and one not in api.Outcome.__args__:
            assert made("fields", name), name
        assert f"`{name}" in API or f"`@{name}" in API, name
    for of in (Destination, contract.DestinationContract, contract.HttpDestinationContract):
        assert made("methods", of.__name__)
    assert made("attributes", "Destination") and made("outcomes", "Outcome") and made("hooks", "trapline_spec")


def test_every_hook_is_known() -> None:
    hooks = [name for name, one in vars(api).items() if hasattr(one, "trapline_spec")]
    assert hooks == ["register_destinations"], "a new hook needs a test of its own"


def test_what_is_public_is_there() -> None:
    rows = re.findall(r"^\| `(trapline_plugins\.\w+)` \| (.*) \|$", API, re.MULTILINE)
    assert len(rows) == 8
    for name, said in rows:
        module = importlib.import_module(name)
        assert inspect.getdoc(module)
        for code in re.findall(r"`(\w+)(?:\([^`]*\))?`", said):
            assert hasattr(module, code), f"{name} has no {code}"


def test_every_destination_is_documented_with_every_setting() -> None:
    """In a section of its own, with the table of its settings, which is made."""
    sections = re.findall(r"^## `([^`\n]*)`$(.*?)(?=^## |\Z)", DESTINATIONS, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in sections] == [destination.kind for destination in builtin.register_destinations()]
    for kind, text in sections:
        assert re.findall(r"<!-- made: settings (\w+) -->\n\n\|", text) == [kind]


def test_every_setting_has_a_description() -> None:
    for destination in builtin.register_destinations():
        for name, setting in destination.config_model.model_fields.items():
            assert setting.description, f"{destination.kind}.{name}"


def test_the_documented_body_is_the_body() -> None:
    [example] = re.findall(r"```json\n(.*?)```", DESTINATIONS, re.DOTALL)
    tools = Tools(httpx.Client(trust_env=False), pytest.fail, pytest.fail)
    hook = Webhook("hook", WebhookConfig.model_validate({"url": "http://localhost/"}), tools)
    assert json.loads(hook.render(a_notification())) == json.loads(example)


def test_settings_forbid_what_they_do_not_know() -> None:
    for destination in builtin.register_destinations():
        assert issubclass(destination.config_model, DestinationConfig)
        assert destination.config_model.model_config["extra"] == "forbid"


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_documented(fault: Fault) -> None:
    assert f"| `Fault.{fault.name}` |" in API


def test_every_fake_is_documented() -> None:
    modules = [module for module in Path(fakes.__path__[0]).glob("*.py") if "\ndef fake_" in module.read_text()]
    assert sorted(re.findall(r"^\| `fakes\.(\w+)\.fake_\w+\(\)` \|", API, re.MULTILINE)) == sorted(
        module.stem for module in modules
    )
