"""The runtime runs where nothing is installed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import trapline_sandbox

FOLDER = Path(trapline_sandbox.__file__).parent


def test_the_runtime_imports_the_standard_library_alone() -> None:
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name}: relative import"
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in sys.stdlib_module_names | {"trapline_sandbox"}, f"{path.name}: {name}"
