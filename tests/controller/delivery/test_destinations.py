"""From trapline.yml to destinations: what is wrong is named with its line, and never with a secret."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pydantic import SecretStr, model_validator

from trapline import __version__
from trapline.config.redact import hide_declared_secrets, hide_secrets
from trapline.config.secrets import Secret, resolve_secrets
from trapline.delivery.destinations import ConfiguredDestinations, build_destinations, make_tools
from trapline.delivery.plugins import PluginInfo, load_plugins
from trapline.errors import Problem
from trapline.settings import parse
from trapline_plugins.api import Destination, DestinationConfig, Tools
from trapline_plugins.console import Console
from trapline_plugins.fake_server import Answer, serving
from trapline_plugins.samples import NOW
from trapline_plugins.webhook import Webhook


@pytest.fixture
def tools() -> Iterator[Tools]:
    tools = make_tools(lambda: NOW, pytest.fail)
    yield tools
    tools.http.close()


def build(
    tools: Tools, text: str, env: Mapping[str, str] | None = None, **more: type[Destination[Any]]
) -> tuple[Mapping[str, Destination[Any]], list[Problem]]:
    settings, _ = parse(dedent(text).lstrip().encode())
    plugins = load_plugins()
    plugins = replace(plugins, destinations={**plugins.destinations, **more})
    return build_destinations(settings, plugins, env=env or {}, tools=tools)


def test_destinations_are_built_with_their_secrets(tools: Tools) -> None:
    built, problems = build(
        tools,
        """
        destinations:
          terminal:
            type: console
          hook:
            type: webhook
            url: https://hook.example/${env:TOKEN}
            timeout: 5
        """,
        env={"TOKEN": "t0k3n"},
    )
    assert problems == []
    assert isinstance(built["terminal"], Console)
    hook = built["hook"]
    assert isinstance(hook, Webhook)
    assert hook.name == "hook"
    assert hook.config.url.get_secret_value() == "https://hook.example/t0k3n"
    assert "t0k3n" not in repr(hook.config)


def test_what_is_wrong_leaves_out_that_one_alone(tools: Tools) -> None:
    built, problems = build(
        tools,
        """
        destinations:
          terminal:
            type: console
          chat:
            type: webhok
          hook:
            type: webhook
            uri: https://hook.example/
            timeout: soon
          quiet:
            type: webhook
            url: ${env:HOOK_URL}
            secret: ${env:HOOK_SECRET}
        """,
        env={"HOOK_URL": "https://hook.example/"},
    )
    assert built.keys() == {"terminal"}
    assert [(p.line, p.code, p.message, p.remedy) for p in problems] == [
        (
            5,
            "destination-type",
            "destination 'chat' has the unknown type 'webhok'",
            "did you mean `webhook`? install the plugin that brings 'webhok' with `pip install`; "
            "`trapline plugins list` shows what is there",
        ),
        (6, "destination-option", "`url` of destination 'hook' is missing", "add `url`"),
        (
            9,
            "destination-option",
            "`timeout` of destination 'hook' is wrong: it should be a valid number, unable to parse string as a number",
            "`timeout`: Seconds to wait for the connection, for sending, and for the answer, each.",
        ),
        (8, "destination-option", "`uri` of destination 'hook' is no setting of 'webhook'", "did you mean `url`?"),
        (
            13,
            "secret-missing",
            "`secret` of destination quiet refers to ${env:HOOK_SECRET}, and HOOK_SECRET is not set",
            "set HOOK_SECRET in the controller's environment",
        ),
    ]
    assert all(p.path == "trapline.yml" and p.severity == "error" for p in problems)


def test_a_destination_follows_its_secrets(tools: Tools, tmp_path: Path) -> None:
    text = f"""
        destinations:
          terminal:
            type: console
          hook:
            type: webhook
            url: https://hook.example/${{file:{tmp_path / "token"}}}
    """
    settings, _ = parse(dedent(text).lstrip().encode())
    configured = ConfiguredDestinations(settings, load_plugins(), env={}, tools=tools)
    [problem] = configured.refresh()
    assert (problem.line, problem.code) == (6, "secret-missing")
    terminal = configured.usable["terminal"]

    def address() -> str:
        hook = configured.usable["hook"]
        assert isinstance(hook, Webhook)
        return hook.config.url.get_secret_value()

    for token in ("first", "second"):
        (tmp_path / "token").write_text(token)
        assert configured.refresh() == []
        assert address() == f"https://hook.example/{token}"
    kept = configured.usable["hook"]
    assert configured.refresh() == []
    assert configured.usable["hook"] is kept
    (tmp_path / "token").unlink()
    assert configured.refresh() == [problem]
    assert configured.usable == {"terminal": terminal}
    (tmp_path / "token").write_text("second")
    assert configured.refresh() == []
    assert address() == "https://hook.example/second"


def test_what_is_wrong_stays_said_until_a_secret_changes(tools: Tools) -> None:
    class Counting(Chatty):
        made = 0

        def __init__(self, name: str, config: Any, tools: Tools) -> None:
            type(self).made += 1
            raise RuntimeError(config)

    settings, _ = parse(b"destinations:\n  a:\n    type: counting\n  b:\n    type: webhook\n")
    plugins = replace(load_plugins(), destinations={**load_plugins().destinations, "counting": Counting})
    configured = ConfiguredDestinations(settings, plugins, env={}, tools=tools)
    first = configured.refresh()
    assert [problem.line for problem in first] == [3, 4]
    assert configured.refresh() == first
    assert Counting.made == 1


def test_a_missing_secret_hides_nothing_else_that_is_wrong(tools: Tools) -> None:
    _, problems = build(
        tools,
        """
        destinations:
          hook:
            type: webhook
            url: ${env:MISSING}
            timeout: -1
            headers:
              Authorization: ${env:MISSING}
              Content-Type: text/plain
            colour: red
        """,
    )
    assert [(problem.line, problem.code) for problem in problems] == [
        (4, "secret-missing"),
        (6, "secret-missing"),
        (5, "destination-option"),
        (9, "destination-option"),
    ]


def test_a_model_that_raises_what_it_likes_is_a_bug_of_the_plugin(tools: Tools) -> None:
    class Config(DestinationConfig):
        password: str

        @model_validator(mode="before")
        @classmethod
        def _odd(cls, value: Any) -> Any:
            raise KeyError(value["password"])

    class Odd(Chatty):
        config_model = Config

    text = "destinations:\n  a:\n    type: odd\n    password: ${env:PASSWORD}\n"
    built, [problem] = build(tools, text, env={"PASSWORD": "hunter2"}, odd=Odd)
    assert (dict(built), problem.line, problem.code) == ({}, 3, "destination-broken")
    assert "a bug in the plugin: KeyError: '**********'" in problem.message


def test_validating_asks_no_aws(tools: Tools) -> None:
    settings, _ = parse(b"destinations:\n  a:\n    type: webhook\n    url: ${ssm:/a}\n")
    _, [problem] = build_destinations(settings, load_plugins(), env={}, tools=tools, ask_aws=False)
    assert (problem.code, problem.line) == ("secret-missing", 4)
    assert problem.message.endswith("and AWS is not asked")


class Chatty(Destination[DestinationConfig]):
    """A plugin that repeats its settings in its errors."""

    kind = "chatty"
    config_model = DestinationConfig

    def __init__(self, name: str, config: Any, tools: Tools) -> None:
        raise RuntimeError(f"cannot log in with {config.password}")

    def render(self, notification: object) -> str:
        return ""

    def send(self, notification: object, rendered: object, ref: str) -> Any:
        return None


def test_no_value_is_shown_that_may_be_secret(tools: Tools) -> None:
    class Config(DestinationConfig):
        password: str

    class Broken(Chatty):
        config_model = Config

    text = """
        destinations:
          a:
            type: broken
            password: Basic ${env:PASSWORD}
          b:
            type: webhook
            url: ${env:PASSWORD}
            headers: ${env:PASSWORD}
        """
    built, problems = build(tools, text, env={"PASSWORD": "hunter2"}, broken=Broken)
    assert built == {}
    assert [p.line for p in problems] == [3, 7, 8]
    assert "a bug in the plugin: RuntimeError: cannot log in with **********" in problems[0].message
    assert "hunter2" not in str(problems)


def test_a_quarantined_plugin_is_named_where_its_type_is_missed(tools: Tools) -> None:
    settings, _ = parse(b"destinations:\n  t:\n    type: teams\n")
    broken = PluginInfo("teams", "trapline-teams", "2.0", (), False, "ModuleNotFoundError: No module named 'msal'")
    plugins = replace(load_plugins(), listing=(broken,))
    _, [problem] = build_destinations(settings, plugins, env={}, tools=tools)
    assert problem.message == (
        "destination 't' has the unknown type 'teams'; "
        "teams (trapline-teams 2.0) is quarantined: ModuleNotFoundError: No module named 'msal'"
    )


def test_the_tools_name_themselves_and_follow_nobody(tools: Tools) -> None:
    with serving(lambda _: Answer(302, headers=(("Location", "/elsewhere"),))) as server:
        assert tools.http.get(server.url).status_code == 302
    [request] = server.requests
    assert request.headers["user-agent"] == f"trapline/{__version__}"
    assert tools.now() == NOW


def test_the_terminal_is_written_by_one_at_a_time() -> None:
    inside, most = 0, 0

    def write(_text: str) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.005)
        inside -= 1

    tools = make_tools(lambda: NOW, write)
    threads = [threading.Thread(target=tools.write, args=("text",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tools.http.close()
    assert most == 1


def test_parts_of_a_secret_are_hidden_too() -> None:
    options = {"headers": {"Authorization": Secret("Basic dXNlcjpwdw==")}, "list": [Secret("s3cret-two")]}
    assert hide_secrets("401 for dXNlcjpwdw== / s3cret-two, Basic realm", options) == (
        "401 for ********** / **********, Basic realm"
    )


def test_a_reference_keeps_what_merely_came_from_the_environment() -> None:
    class Config(DestinationConfig):
        project: str
        token: SecretStr

    options = {"project": "${env:PROJECT}", "token": "${env:TOKEN}"}
    config = Config.model_validate(resolve_secrets(options, {"PROJECT": "SECOPS", "TOKEN": "hunter2-too"}))
    assert hide_declared_secrets("SECOPS-12 hunter2-too", config) == "SECOPS-12 **********"
    assert hide_secrets("SECOPS-12 hunter2-too", config) == "**********-12 **********"
