"""What README and docs show works: its commands exist, its examples load, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from trapline import suppressions
from trapline.cli import cli
from trapline.config.files import File
from trapline.detection.check import check
from trapline.detection.load import load
from trapline.settings import DestinationSettings, Settings, TableSettings, parse

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
REFERENCE = ROOT / "docs/reference/cli.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(?:#[^)\s]*)?\)")
_SECRET = re.compile(r"\$\{env:(\w+)\}")


@dataclass(frozen=True)
class Found:
    """Something that a page shows, and the line it is on."""

    page: Path
    line: int
    text: str
    language: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Found]:
    text = page.read_text()
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start()) + 2
        yield Found(page, line, textwrap.dedent(fence["text"]), fence["language"])


def prose(page: Path) -> str:
    """The page with its blocks blanked out, so that lines keep their numbers."""
    return _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), page.read_text())


def shell_lines(page: Path) -> Iterator[Found]:
    """What the page tells a reader to type: the lines of its shell blocks, and code in its sentences."""
    for block in blocks(page):
        if block.language in ("", "sh", "bash", "console"):
            joined = block.text.replace("\\\n", "  ")
            for number, line in enumerate(joined.splitlines()):
                yield Found(page, block.line + number, line.removeprefix("$ "))
    for number, line in enumerate(prose(page).splitlines(), 1):
        for code in _INLINE.findall(line):
            yield Found(page, number, code)


def words(line: str) -> list[str]:
    """The first command of a shell line, without comments and the variables set for it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    taken: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            break
        if taken or not re.fullmatch(r"[A-Z_]+=.*", word):
            taken.append(word)
    return taken


def commands(program: str) -> list[Found]:
    """Every mention of a program with arguments. The generated reference says how to write commands, not which."""
    pattern = re.compile(rf"(?:[A-Z_]+=\S* )*{program}\s+\S")
    return [line for page in PAGES if page != REFERENCE for line in shell_lines(page) if pattern.match(line.text)]


def misused(arguments: list[str]) -> str | None:
    """Why the command line cannot be parsed; None where it can. Nothing is run, and no path needs to exist."""
    command: click.Command = cli
    context = click.Context(command, info_name="trapline")
    while isinstance(command, click.Group):
        name = arguments.pop(0) if arguments else ""
        if name in ("-h", "--help", "--version"):
            return None
        found = command.get_command(context, name)
        if found is None:
            return f"{context.command_path} has no command {name!r}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        values, left, _ = command.make_parser(context).parse_args(arguments)
        for parameter in command.params:
            if isinstance(parameter.type, click.Choice) and isinstance(value := values.get(parameter.name), str):
                parameter.type.convert(value, parameter, context)
    except click.UsageError as error:
        return f"{context.command_path}: {error.format_message()}"
    return f"{context.command_path} does not take {left}" if left else None


@pytest.mark.parametrize("command", commands(r"(?:\.venv/bin/)?trapline"), ids=str)
def test_every_command_line_exists(command: Found) -> None:
    assert misused(words(command.text)[1:]) is None, f"{command}: {command.text}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trapline deploy", "no command 'deploy'"),
        ("trapline alerts drop", "trapline alerts has no command 'drop'"),
        ("trapline status --colour red", "No such option"),
        ("trapline demo --sandbox vm", "is not one of"),
        ("trapline status one two", "does not take"),
    ],
)
def test_a_command_line_that_does_not_exist_would_be_found(line: str, said: str) -> None:
    assert said in (misused(words(line)[1:]) or "")


def test_the_command_lines_are_found() -> None:
    shown = {str(line.page.relative_to(ROOT)) for line in commands(r"(?:\.venv/bin/)?trapline")}
    assert {"README.md", "docs/how-to/run-it.md", "docs/reference/aws_cloudtrail.md"} <= shown
    assert words("A=1 trapline demo --keep 'my home'  # why\n") == ["trapline", "demo", "--keep", "my home"]
    assert words("trapline status --json | jq .") == ["trapline", "status", "--json"]


def test_the_targets_of_make_exist() -> None:
    shown = {words(line.text)[1] for line in commands("make") if not words(line.text)[1].startswith("-")}
    assert {"demo", "test"} <= shown
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert shown <= targets
    for target in ("demo", "test", "bench"):
        done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_example_of_the_readme_is_near_its_top_and_loads_clean() -> None:
    example = [block for block in blocks(README) if block.text.startswith("# detections/")]
    files = {block.text.split("\n", 1)[0].removeprefix("# "): block for block in example}
    assert max(block.line + block.text.count("\n") for block in example) <= 22
    loaded = load({path: File(content=block.text.encode()) for path, block in files.items()})
    assert loaded.problems == ()
    (detection,) = loaded.detections
    assert detection.config.enabled
    assert {f"{detection.path}/{name}" for name in detection.files} == set(files)
    tables = {"aws_cloudtrail": TableSettings(path="lake")}
    assert check(detection, tables=tables, destinations={"soc": DestinationSettings(type="console")}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in _LINK.findall(prose(page)) if not (page.parent / link).exists()]
    assert missing == []


def trapline_ymls() -> list[Found]:
    """The YAML blocks with sections of trapline.yml; a detection's config has `tables` too, but a name besides."""
    found = []
    for page in PAGES:
        for block in blocks(page):
            if block.language in ("yaml", "yml"):
                data: Any = yaml.safe_load(block.text)
                if isinstance(data, dict) and data.keys() & Settings.model_fields and "name" not in data:
                    found.append(block)
    return found


@pytest.mark.parametrize("block", trapline_ymls(), ids=str)
def test_every_trapline_yml_is_taken_without_a_word(block: Found) -> None:
    env = dict.fromkeys(_SECRET.findall(block.text), "s3cret")
    _, problems = parse(block.text.encode(), env=env)
    assert problems == []


def suppressions_ymls() -> list[Found]:
    found = [block for page in PAGES for block in blocks(page) if block.language == "yaml"]
    return [block for block in found if block.text.startswith("suppressions:")]


@pytest.mark.parametrize("block", suppressions_ymls(), ids=str)
def test_every_suppressions_yml_is_taken_without_a_word(block: Found) -> None:
    found, problems = suppressions.parse(block.text.encode())
    assert found.entries
    assert problems == []


def test_the_trapline_ymls_are_found() -> None:
    assert {"run-it.md", "write-a-destination.md"} <= {block.page.name for block in trapline_ymls()}


def test_the_reference_of_the_command_line_is_what_the_help_texts_say() -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "30", "TRAPLINE_HOME": "/elsewhere"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.cli_reference", "--print"],
        cwd=ROOT,
        env=environment | {"TRAPLINE_REF": "other", "TRAPLINE_DEMO_SEED": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert REFERENCE.read_text() == done.stdout, "run: .venv/bin/python -m tests.docs.cli_reference"


def test_an_option_can_come_from_a_variable_as_the_reference_says() -> None:
    done = CliRunner().invoke(cli, ["demo"], env={"TRAPLINE_DEMO_SEED": "no number"})
    assert done.exit_code == 2
    assert "TRAPLINE_DEMO_SEED" in REFERENCE.read_text()
    assert "'no number' is not a valid integer" in done.output


def test_no_file_names_the_host_of_a_package_registry() -> None:
    # In pieces, or this file would be the first to be found.
    hosts = [
        "pypi" + ".org",
        "python" + "hosted.org",
        "npmjs" + ".org",
        "npmjs" + ".com",
        "yarnpkg" + ".com",
        "crates" + ".io",
        "rubygems" + ".org",
        "anaconda" + ".org",
        "maven" + ".org",
    ]
    patterns = [part for host in hosts for part in ("-e", host)]
    command = ["git", "grep", "--line-number", "--ignore-case", "--fixed-strings", *patterns, "--", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")  # 1: nothing found
