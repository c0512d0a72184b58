"""The project as a wheel, and a Python that has all its dependencies and not the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT


def build_wheel(folder: Path) -> Path:
    """A wheel with the kernels that `make` compiled."""
    source, wheels = folder / "unrote", folder / "wheels"
    left_out = shutil.ignore_patterns(".*", "tests", "benchmarks", "demo", "build", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=left_out)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", wheels, source], check=True, capture_output=True)
    return next(wheels.glob("unrote-*.whl"))


def bare_python(folder: Path) -> Path:
    """An environment of its own that borrows what this one has, but for what is editable here."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "all.pth").write_text(str(Path(pytest.__file__).parents[1]))
    return folder / "bin" / "python"
