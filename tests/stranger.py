"""A stranger's workplace: an environment in which Trapline is installed, and nothing can be fetched."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from pathlib import Path


class Workplace:
    """A virtual environment of its own, which sees what is installed in ours, with the commands a stranger types.

    What is installed here is seen nowhere else.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "work"
        self.folder.mkdir(parents=True)
        venv.create(root / "venv", symlinks=True)
        ours, bin_ = sysconfig.get_path("purelib"), root / "venv" / "bin"
        [theirs] = (root / "venv").glob("lib/python*/site-packages")
        # As a folder of sites, so that editable installs in it count too.
        (theirs / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
        for command in ("pip", "pytest", "trapline"):
            script = bin_ / command
            script.write_text(f'#!/bin/sh\nexec "{bin_}/python" -m {command} "$@"\n')
            script.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRAPLINE_", "PIP_"))}
        self.env = {
            **kept,
            "PATH": f"{bin_}:{kept['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # which, as pip reads it, is without isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.env.pop("PYTHONPATH", None)

    def run(self, command: str, *, code: int = 0, **env: str) -> str:
        """What a shell line prints on both its ways out. It must end with this exit code."""
        done = subprocess.run(
            ["sh", "-euc", command],
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}"
        return done.stdout
