"""A corpus that any machine has: licences, descriptions and docstrings of the installed packages.

They are full of natural near-duplicates (the same licence with another name in it) and of passages
that occur again and again (parameter descriptions, notices), which makes them a good first corpus.
"""

import ast
import itertools
import os
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import orjson

from unrote.pipelines.locations import reaching

Document = tuple[str, str]  # id, text

MAX_FILES = 1500
"""Python files whose docstrings are taken: enough to be worth a look, quick to read."""

MAX_FILE_BYTES = 400_000
MIN_CHARACTERS = 200


def make_corpus(folder: Path) -> Path:
    """Write licences.jsonl, descriptions.jsonl and docstrings.jsonl into `folder`.

    Raises OutputError, StorageError where it cannot be written.
    """
    parts = {"licences": licences(), "descriptions": descriptions(), "docstrings": docstrings()}
    with reaching(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        for name, documents in parts.items():
            with (folder / f"{name}.jsonl").open("wb") as out:
                for identity, text in documents:
                    row = {"id": identity, "text": text, "source": name}
                    out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return folder


def licences() -> Iterator[Document]:
    """The licence files of every installed distribution."""
    names = ("license", "licence", "copying", "notice")
    for name, distribution in _distributions():
        for file in sorted(distribution.files or (), key=str):
            if file.name.lower().startswith(names) and file.suffix in ("", ".txt", ".md", ".rst"):
                text = _read(Path(str(distribution.locate_file(file))))
                if text:
                    yield f"{name}/{file}", text


def descriptions() -> Iterator[Document]:
    """The long description of every installed distribution."""
    for name, distribution in _distributions():
        text = distribution.metadata.get_payload()  # type: ignore[attr-defined]
        if isinstance(text, str) and len(text) >= MIN_CHARACTERS:
            yield name, _clean(text)


def docstrings() -> Iterator[Document]:
    """One document for each Python file of the standard library and of packages: its docstrings."""
    for root, path in itertools.islice(_python_files(), MAX_FILES):
        source = _read(path)
        if source is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's escape sequences
            try:
                tree = ast.parse(source)
            except (SyntaxError, ValueError, RecursionError):
                continue
        text = "\n\n".join(_docstrings_of(tree))
        if len(text) >= MIN_CHARACTERS:
            yield str(path.relative_to(root)), text


def _docstrings_of(tree: ast.AST) -> Iterable[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds))
    return (_clean(text) for text in found if text)


def _distributions() -> list[tuple[str, metadata.Distribution]]:
    """Installed distributions by name, each once."""
    named = {d.metadata["Name"]: d for d in metadata.distributions() if d.metadata["Name"]}
    return sorted(named.items())


def _python_files() -> Iterator[tuple[Path, Path]]:
    """Python files of the standard library and of installed packages in turn, tests left out."""
    roots = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib")]
    listings = [_files_below(root) for root in roots]
    for pair in itertools.zip_longest(*listings):
        yield from ((root, path) for root, path in zip(roots, pair, strict=True) if path)


def _files_below(root: Path) -> Iterator[Path]:
    skipped = {"site-packages", "tests", "test", "__pycache__", "idlelib", "lib2to3"}
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - skipped)
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(".py") and path.stat().st_size <= MAX_FILE_BYTES:
                yield path


def _read(path: Path) -> str | None:
    try:
        return _clean(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None  # unreadable files of other packages are no part of a demo


def _clean(text: str) -> str:
    """Text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()
