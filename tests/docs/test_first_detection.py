"""The tutorial "your first detection" is followed to the letter, and says what the reader sees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_docs import ROOT, Found, blocks
from tests.stranger import Workplace

PAGE = ROOT / "docs/tutorial/your-first-detection.md"


class Reader:
    """Follows a page block by block, in one shell that stays where a block has left it."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._state = place.folder.parent / "state"
        self._state.write_text(f"cd '{place.folder}'\n")
        self.said = ""

    def follow(self, block: Found) -> None:
        match block.language:
            case "sh":
                self.said = self._type(block)
            case "python" | "yaml":
                name = block.text.partition("\n")[0].removeprefix("# ")
                (self._place.folder / "my-detections" / name).write_text(block.text)
            case "text":
                assert self._unsaid(block) == [], f"{block}: what is said is\n{self.said}"
            case other:
                raise AssertionError(f"{block}: nobody can follow a block of {other!r}")

    def _type(self, block: Found) -> str:
        leave = f"{{ export -p; echo \"cd '$PWD'\"; }} > '{self._state}'"
        # The demonstration's rules have requirements.
        env = {name: value for name, value in self._place.env.items() if name != "PIP_NO_INDEX"}
        done = subprocess.run(
            ["sh", "-c", f". '{self._state}'\nset -e\n{block.text}\n{leave}"],
            env={**env, "XDG_CACHE_HOME": str(self._place.folder.parent / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A test that fails on purpose ends the shell; where that leaves the reader is where they were.
        assert done.returncode == 0 or "FAILED" in done.stdout, f"{block}\n{done.stdout}"
        return done.stdout

    def _unsaid(self, block: Found) -> list[str]:
        said = [_shape(line) for line in self.said.splitlines()]
        return [line for line in block.text.splitlines() if _shape(line) not in said]


def _shape(line: str) -> str:
    """A line whatever its numbers are, which depend on the day and on the machine."""
    return re.sub(r"\d+", "0", line).rstrip()


@pytest.mark.network
def test_the_tutorial_leads_to_an_alert(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    (place.folder / "trapline").symlink_to(ROOT)
    reader = Reader(place)
    for block in blocks(PAGE):
        reader.follow(block)
    assert "critical" in place.run("trapline alerts list --home home")
    assert place.run("git -C my-detections log --oneline main").endswith("Find trails that are silenced\n")
