"""Compiling the prefilters of the default settings into the package: python -m unrote.pii.compiling

`make` and the build of a wheel do that once, so that the first job does not.
"""

from importlib.resources import files
from pathlib import Path

from unrote.pii.config import default_config
from unrote.pii.databases import FOLDER, INDEX
from unrote.pii.scanner_cache import open_scanner


def compile_all(folder: Path) -> None:
    """Have the databases of the default scanner in `folder`, and nothing else.

    Without hyperscan, which has no wheel for some platforms, there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).unlink(missing_ok=True)
    names = {name for one in open_scanner(default_config()).prefilters for name in one.keep(folder)}
    for path in folder.iterdir():
        if path.name not in names | {INDEX}:
            path.unlink()


if __name__ == "__main__":
    compile_all(Path(str(files("unrote").joinpath("compiled", FOLDER))))
