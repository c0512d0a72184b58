"""The project as a wheel, and a Python that has all its dependencies and not the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT


def build_wheel(folder: Path) -> Path:
    source, wheels = folder / "source", folder / "wheels"
    for name in ("corpus", "dedup", "memorization", "pii", "pipelines"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("unrote.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(wheels.glob("unrote-*.whl"))


def bare_python(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "all.pth").write_text(str(Path(pytest.__file__).parents[1]))
    return folder / "bin" / "python"
