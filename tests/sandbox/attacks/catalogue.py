"""The attacks of this folder: what each is expected to end in is read from its file, which is never imported here."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RULES = Path(__file__).with_name("rules")
TOOLS = Path(__file__).with_name("tools")
NOT_STOPPED = "not stopped"
NOTHING, MATCH = "nothing", "match"


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile detection: `AREA/NAME.py`, or a folder `AREA/NAME/` where more comes with its `detect.py`.

    `outcome` is `nothing` where it finds that it has not got through, `match` where it matches as any detection may, or
    the outcome of its failure; `error` is part of what is said about it.
    """

    name: str
    path: Path
    says: str
    outcome: str
    error: str = ""
    mode: str = "record"
    batches: int = 1
    workers: int = 1
    when: str = "running"  # or "loading": it never comes to be live
    whole: bool = False  # whether its window may fail as a whole, because no single record can be blamed
    bubblewrap: str = ""  # the outcome with this backend, where it is another one
    process: str = ""  # the same; or NOT_STOPPED

    def expected(self, backend: str) -> str:
        """How it ends with this backend."""
        return {"bubblewrap": self.bubblewrap, "process": self.process}.get(backend) or self.outcome

    @property
    def area(self) -> str:
        """What it is after."""
        return self.name.partition("/")[0]

    @property
    def script(self) -> str:
        return "detection.py" if self.mode == "batch" else "detect.py"

    @property
    def files(self) -> Mapping[str, tuple[bytes, bool]]:
        """What would be in the detection's folder."""
        own = contents(self.path) if self.path.is_dir() else {}
        files = {name: content for name, content in own.items() if not name.startswith("requirements/")}
        code = self.path / "detect.py" if self.path.is_dir() else self.path
        return {**contents(TOOLS), **files, self.script: (code.read_bytes(), False)}

    @property
    def requirements(self) -> Path | None:
        """The folder of what would have been installed for it."""
        folder = self.path / "requirements"
        return folder if folder.is_dir() else None

    def __str__(self) -> str:
        return self.name


def attacks() -> list[Attack]:
    """All of them, by name."""
    return sorted((_read(path) for path in RULES.glob("*/*") if _is_attack(path)), key=str)


def _is_attack(path: Path) -> bool:
    return path.suffix == ".py" or (path / "detect.py").is_file()


def _read(path: Path) -> Attack:
    code = ast.parse((path / "detect.py" if path.is_dir() else path).read_text())
    said = next(
        ast.literal_eval(node.value)
        for node in code.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXPECT"
    )
    return Attack(
        path.relative_to(RULES).with_suffix("").as_posix(), path, (ast.get_docstring(code) or "").strip(), **said
    )


def contents(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """The files of a folder, as those of a build are given."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), False) for path in found}
