"""The reference and the how-to say what the code says."""

import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from trapline_plugins import api, builtin, contract, fakes
from trapline_plugins.api import Destination, DestinationConfig, Tools
from trapline_plugins.fakes.faults import Fault
from trapline_plugins.samples import a_notification
from trapline_plugins.webhook import Webhook, WebhookConfig

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "reference/plugin-api.md").read_text()
DESTINATIONS = (DOCS / "reference/destinations.md").read_text()
HOW_TO = (DOCS / "how-to/write-a-destination.md").read_text()

HOOKS = [function for function in vars(api).values() if hasattr(function, "trapline_spec")]
METHODS = [Destination.render, Destination.send, Destination.find, Destination.check]
OVERRIDES = [
    contract.DestinationContract.make,
    contract.DestinationContract.assert_within_limits,
    contract.HttpDestinationContract.taken,
    contract.HttpDestinationContract.failing,
]


def signature(function: Any) -> str:
    """`send(notification: Notification, ...) -> Outcome`, as a table cell of the reference has it."""
    parameters = inspect.signature(function)
    shown = parameters.replace(parameters=[p for n, p in parameters.parameters.items() if n != "self"])
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(shown))
    return f"{function.__name__}{text}"


def section(text: str, heading: str) -> str:
    return text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_is_documented_with_its_signature(hook: Any) -> None:
    assert f"### `{signature(hook)}`\n\n{inspect.getdoc(hook)}\n" in API


def test_every_hook_is_known() -> None:
    assert [hook.__name__ for hook in HOOKS] == ["register_destinations"], "a new hook needs a test of its own"
    assert re.findall(r"### `(\w+)\(", API) == ["register_destinations"]


@pytest.mark.parametrize("method", [*METHODS, *OVERRIDES], ids=lambda method: method.__qualname__)
def test_every_method_is_documented_with_its_signature(method: Any) -> None:
    assert f"| `{signature(method).replace('|', chr(92) + '|')}` |" in API


@pytest.mark.parametrize("outcome", [api.Delivered, api.Retry, api.Rejected, api.Unknown])
def test_every_outcome_is_documented_with_its_signature(outcome: type) -> None:
    shown = signature(outcome).removesuffix(" -> None").replace("|", "\\|")
    assert f"| `{shown}` |" in API


@pytest.mark.parametrize("model", [api.Notification, api.Provenance, api.Tools])
def test_every_field_is_documented_with_its_type(model: Any) -> None:
    for field in dataclasses.fields(model):
        default = ""
        if field.default is not dataclasses.MISSING:
            default = f" = {field.default!r}"
        elif field.default_factory is not dataclasses.MISSING:
            default = f" = {field.default_factory()!r}"
        shown = f"{field.name}: {field.type}{default}".replace("|", "\\|").replace('"', "'")
        assert f"| `{shown}` |" in API


@pytest.mark.parametrize("name", ["kind", "config_model", "kinds", "idempotent"])
def test_every_class_attribute_is_documented(name: str) -> None:
    assert name in Destination.__annotations__
    assert f"| `{name}` |" in API


@pytest.mark.parametrize("destination", builtin.register_destinations(), ids=lambda destination: destination.kind)
def test_every_destination_is_documented_with_every_setting(destination: type[Destination[Any]]) -> None:
    text = section(DESTINATIONS, f"## `{destination.kind}`")
    documented = re.findall(r"^\| `([a-z_]+)` \|", text.split("| header |")[0], re.MULTILINE)
    assert documented == list(destination.config_model.model_fields)
    for name, setting in destination.config_model.model_fields.items():
        default = "required" if setting.is_required() else f"`{setting.default!r}`"
        assert f"| `{name}` | {default} | {setting.description} |" in text


def test_no_destination_is_documented_that_is_not_there() -> None:
    assert re.findall(r"^## `(.*)`$", DESTINATIONS, re.MULTILINE) == [
        destination.kind for destination in builtin.register_destinations()
    ]


def test_the_documented_body_is_the_body() -> None:
    [example] = re.findall(r"```json\n(.*?)```", DESTINATIONS, re.DOTALL)
    tools = Tools(httpx.Client(trust_env=False), pytest.fail, pytest.fail)
    hook = Webhook("hook", WebhookConfig.model_validate({"url": "http://localhost/"}), tools)
    assert json.loads(hook.render(a_notification())) == json.loads(example)


def test_the_how_to_passes_its_own_tests(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    for name, block in zip(("trapline_chat.py", "test_chat.py"), blocks, strict=True):
        (tmp_path / name).write_text(re.sub(r"^   ", "", block, flags=re.MULTILINE))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d\d passed", done.stdout, re.MULTILINE)


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
