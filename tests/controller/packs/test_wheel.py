"""The pack that comes with Trapline is in its wheel, and is the same commit there as in a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from trapline.packs.builtin import make_repository
from trapline.source.command import run_git

ROOT = Path(__file__).parents[3]
MAKE = """
import sys
from pathlib import Path
import trapline
from trapline.packs.builtin import builtin_folder, make_repository
assert builtin_folder() == Path(trapline.__file__).parent / "builtin"
make_repository(Path(sys.argv[1]), timeout=60)
"""


def head_of(repository: Path) -> str:
    done = run_git([f"--git-dir={repository}", "rev-parse", "refs/heads/main"], cwd=repository, timeout=60)
    return done.out.decode().strip()


def test_a_wheel_brings_the_pack(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path]
    subprocess.run([*build, ROOT / "controller"], check=True, capture_output=True)
    [wheel] = tmp_path.glob("trapline-*.whl")
    target = tmp_path / "installed"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, target], check=True)
    command = [sys.executable, "-c", MAKE, tmp_path / "of-wheel.git"]
    subprocess.run(command, check=True, cwd=tmp_path, env={"PYTHONPATH": f"{target}", "PATH": "/usr/bin:/bin"})
    make_repository(tmp_path / "of-checkout.git", timeout=60)
    assert head_of(tmp_path / "of-wheel.git") == head_of(tmp_path / "of-checkout.git")
