"""Hyperscan databases: made as the package is built or by the first job that needs them, and kept.

Compiling the default ones takes some ten seconds. Hyperscan checks when it loads a database that it
is whole and that this processor can run it, so that a file may come from another machine.
"""

import hashlib
import platform
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from unrote.corpus.packaged import own_folder, store

FOLDER = "hyperscan"
"""Its name among what is compiled in the package, and in the user's cache."""

_LEVEL = 12
"""Of zstd: 9 MB of the default ones are 0.9, and are read in 15 ms."""


class Expressions(NamedTuple):
    """What a database is compiled from: expressions, the numbers that they report, their flags."""

    expressions: tuple[bytes, ...]
    ids: tuple[int, ...]
    flags: tuple[int, ...]


def open_database(hyperscan: Any, wanted: Expressions) -> Any:
    """A database of its own with scratch space: loaded if it was ever compiled, else compiled."""
    name = name_of(hyperscan, wanted)
    database = _loaded(hyperscan, name)
    if database is None:
        database = _compiled(hyperscan, wanted)
        folder = own_folder(FOLDER)
        if folder is not None:
            with suppress(OSError):  # a full disk, say: it is compiled again next time
                _write(hyperscan, database, folder / name)
    database.scratch = hyperscan.Scratch(database)
    return database


def compile_into(folder: Path, hyperscan: Any, wanted: Expressions) -> str:
    """Have a database in `folder`, and return its name there. Raises OSError."""
    name = name_of(hyperscan, wanted)
    if not (folder / name).exists():
        _write(hyperscan, _compiled(hyperscan, wanted), folder / name)
    return name


def name_of(hyperscan: Any, wanted: Expressions) -> str:
    """The file name of a database: a digest of all that it is made of."""
    versions = (hyperscan.__version__, platform.machine())
    return hashlib.sha256(repr((versions, *wanted)).encode()).hexdigest()[:32]


def _loaded(hyperscan: Any, name: str) -> Any:
    for folder in (files("unrote").joinpath("compiled", FOLDER), own_folder(FOLDER)):
        if folder is not None:
            with suppress(OSError, zstandard.ZstdError, hyperscan.error):
                content = zstandard.decompress(folder.joinpath(name).read_bytes())
                return hyperscan.loadb(content, mode=hyperscan.HS_MODE_BLOCK)
    return None


def _compiled(hyperscan: Any, wanted: Expressions) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    expressions, ids, flags = map(list, wanted)
    database.compile(expressions=expressions, ids=ids, elements=len(ids), flags=flags)
    return database


def _write(hyperscan: Any, database: Any, path: Path) -> None:
    store(path, zstandard.compress(hyperscan.dumpb(database), _LEVEL))
