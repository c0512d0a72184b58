"""What is made once for all of pytest-xdist's processes."""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` filled, in whichever process asked for this name first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            making = folder.with_name(f"{folder.name}-{os.getpid()}")
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder
