"""Hyperscan databases: made as the package is built or by the first job that needs them, and kept.

The time to compile one grows much faster than the number of its expressions. Those of
`recognizers = "all"` that keep to a line, 140 of them, take 12 s of processor time as one database;
the 87 of them that are not looked for by default take 1 s in parts of 16. So a database of all
default ones, which is the fastest to read with, comes with the package, and is used wherever most
of what is wanted is in it; what else is wanted is compiled in parts. Hyperscan checks when it loads
a database that it is whole and that this processor can run it, so that a file may come from another
machine.
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from unrote.corpus.packaged import own_folder, store

FOLDER = "hyperscan"
"""Its name among what is compiled in the package, and in the user's cache."""

INDEX = "index.json"
"""In a folder of databases: by the name of each the digests of its expressions, in their order."""

PART = 16
"""Expressions in a database that the package does not have."""

_LEVEL = 12
"""Of zstd: 9 MB of the default ones are 0.9, and are read in 15 ms."""


class Expression(NamedTuple):
    """What Hyperscan compiles: an expression, with its flags."""

    text: bytes
    flags: int


class Database(NamedTuple):
    """A database, which threads share, and scratch space of one's own to read with it; numbers[i]
    are the indices of its expression i among those that were wanted: none where it is another.
    """

    database: Any
    scratch: Any
    numbers: Sequence[Sequence[int]]


def open_databases(hyperscan: Any, wanted: Sequence[Expression]) -> list[Database]:
    """Databases that hold all wanted expressions: loaded if they were ever compiled, else compiled.

    They may hold others.
    """
    missing: dict[str, list[int]] = {}
    for number, expression in enumerate(wanted):
        missing.setdefault(digest_of(expression), []).append(number)
    opened: list[tuple[Any, Sequence[Sequence[int]]]] = []
    for name, digests in _packaged(hyperscan):
        held = missing.keys() & set(digests)
        database = _loaded(hyperscan, name) if len(held) >= min(PART, len(digests)) else None
        if database is not None:
            opened.append((database, [missing.pop(one, []) for one in digests]))
    rest = list(missing.values())
    opened += [
        (_kept(hyperscan, tuple(wanted[numbers[0]] for numbers in part)), part)
        for part in (rest[at : at + PART] for at in range(0, len(rest), PART))
    ]
    return [Database(one, hyperscan.Scratch(one), numbers) for one, numbers in opened]


def compile_into(folder: Path, hyperscan: Any, wanted: Sequence[Expression]) -> str:
    """Have a database of all wanted expressions in `folder`; its name there. Raises OSError."""
    distinct = list(dict.fromkeys(wanted))
    name = _name_of(hyperscan, map(digest_of, distinct))
    if not (folder / name).exists():
        _write(hyperscan, _compiled(hyperscan, distinct), folder / name)
    index = folder / INDEX
    known = json.loads(index.read_text()) if index.exists() else {}
    store(index, json.dumps(known | {name: [*map(digest_of, distinct)]}).encode())
    return name


def digest_of(expression: Expression) -> str:
    """Of an expression and its flags."""
    return hashlib.sha256(repr(tuple(expression)).encode()).hexdigest()[:32]


def _name_of(hyperscan: Any, digests: Iterator[str]) -> str:
    """The file name of a database: a digest of all that it is made of."""
    made_of = (hyperscan.__version__, platform.machine(), *digests)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]


def _packaged(hyperscan: Any) -> Iterator[tuple[str, list[str]]]:
    """Name and expressions (digests) of each database in the package that was compiled by this
    version of Hyperscan.
    """
    with suppress(OSError, ValueError):
        index = json.loads(files("unrote").joinpath("compiled", FOLDER, INDEX).read_text())
        for name, digests in index.items():
            if name == _name_of(hyperscan, iter(digests)):
                yield name, digests


@lru_cache(maxsize=64)
def _kept(hyperscan: Any, part: tuple[Expression, ...]) -> Any:
    """The database of some expressions, out of the user's cache if it is there; else it is there
    then.
    """
    name = _name_of(hyperscan, map(digest_of, part))
    database = _loaded(hyperscan, name)
    if database is None:
        database = _compiled(hyperscan, part)
        folder = own_folder(FOLDER)
        if folder is not None:
            with suppress(OSError):  # a full disk, say: it is compiled again next time
                _write(hyperscan, database, folder / name)
    return database


@lru_cache(maxsize=64)
def _loaded(hyperscan: Any, name: str) -> Any:
    for folder in (files("unrote").joinpath("compiled", FOLDER), own_folder(FOLDER)):
        if folder is not None:
            with suppress(OSError, zstandard.ZstdError, hyperscan.error):
                content = zstandard.decompress(folder.joinpath(name).read_bytes())
                return hyperscan.loadb(content, mode=hyperscan.HS_MODE_BLOCK)
    return None


def _compiled(hyperscan: Any, wanted: Sequence[Expression]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    expressions, flags = map(list, zip(*wanted, strict=True))
    ids = list(range(len(wanted)))
    database.compile(expressions=expressions, ids=ids, elements=len(ids), flags=flags)
    return database


def _write(hyperscan: Any, database: Any, path: Path) -> None:
    store(path, zstandard.compress(hyperscan.dumpb(database), _LEVEL))
