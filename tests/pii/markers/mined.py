"""Look-alikes mined at test time: what is installed on this machine, presumed free of markers."""

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".py", ".md", ".rst", ".html")
SKIPPED = {"__pycache__", "node_modules", "site-packages", "dist-packages"}
# Their files are full of markers as examples, rules and test data: nothing can be presumed of them.
SCRUBBERS = (
    "datafog",
    "datatrove",
    "deid",
    "deidentify",
    "detect_secrets",
    "faker",
    "llm_guard",
    "openmed",
    "philter",
    "presidio",
    "scrubadub",
)


class Mined(NamedTuple):
    """A file below `root`; `name` is its path there, with slashes."""

    root: str
    name: str
    text: str


def mine(
    documents: int = 500,
    characters: int = 20_000,
    suffixes: tuple[str, ...] = SUFFIXES,
    roots: list[Path] | None = None,
) -> Iterator[Mined]:
    """Up to `documents` files below `roots` (the standard library, the installed packages and the
    environment's `share/doc`), each cut after `characters`.

    Deterministic: the order is that of a digest of each file's name, so that a small sample spreads
    over all packages, and two runs on one machine yield the same. Another machine has other files:
    assert rates and read what was found; do not pin counts.

    Nobody has read these files. That they hold no marker is presumed, not known: a finding here is
    a false alarm until somebody looks, and some are true (a licence with `[email protected]`, a
    changelog that went through a scrubber, the test of a log filter). They hold reserved values
    (`user@example.com`, `John Doe`) in great number: leave `reserved-value` findings out when you
    count. Packages that scrub are left out by name, an incomplete list. Code and manuals are no
    clinical notes, court decisions or chats: no finding here says nothing of those.
    """
    if roots is None:
        paths = sysconfig.get_paths()
        roots = [Path(paths[name]) for name in ("stdlib", "purelib", "platlib")]
        roots.append(Path(paths["data"]) / "share" / "doc")
    left = documents
    for _, root, name in sorted(_names(dict.fromkeys(roots), suffixes)):
        if left == 0:
            return
        try:
            with (Path(root) / name).open(encoding="utf-8", newline="") as file:
                text = file.read(characters)
        except (OSError, UnicodeDecodeError):
            continue
        if text.strip():
            left -= 1
            yield Mined(root, name, text)


def _names(roots: dict[Path, None], suffixes: tuple[str, ...]) -> Iterator[tuple[bytes, str, str]]:
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if f not in SKIPPED and not _scrubs(f)]
            for file in files:
                if file.endswith(suffixes) and not _scrubs(file):
                    name = (Path(folder) / file).relative_to(root).as_posix()
                    yield hashlib.sha256(name.encode("utf-8", "replace")).digest(), str(root), name


def _scrubs(name: str) -> bool:
    return name.lower().replace("-", "_").startswith(SCRUBBERS)
