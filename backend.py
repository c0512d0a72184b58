"""Builds wheels with all compiled that jobs run (docs/adr/0012); all else is setuptools'."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 (the hooks of PEP 517)

ROOT = Path(__file__).parent


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What kernels and prefilters are compiled with is what they run with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run_with = [*project["dependencies"], *project["optional-dependencies"]["pii"]]
    return [*build_meta.get_requires_for_build_wheel(config_settings), *run_with]


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """A wheel for this Python and this kind of processor."""
    for module in ("unrote.corpus.compiling", "unrote.pii.compiling"):
        subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True)
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))
