"""Makes the corpus that everything here is measured on: the documentation that Debian ships.

    python benchmarks/debian.py --work ~/.cache/unrote-bench --megabytes 5 50 100 200 400
    python benchmarks/debian.py --packages bind9-doc git-doc [--most 12]

Writes debian.jsonl (the corpus, about 210 MB) and debian-N.jsonl (its first N MB of text), with the
fields `id` (package and path), `text` and `source` (package). It is real text: manuals, an API
reference and a handbook, with the repetition that such pages have by nature. Where N is more than
the corpus has, documents of further packages follow it, which are only then fetched. Needs a Debian
or Ubuntu system whose package lists are fresh (`apt-get update`); nothing is installed.

--packages: of each of these NAME.jsonl instead, up to so many MB of its documents, in an order that
a hash of their paths draws.

The versions of the packages are whatever the archive offers; corpus.json beside the corpus says
which they were, so that figures can be compared only where the corpora were the same.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import orjson

PACKAGES = (
    "debian-handbook",
    "libreoffice-help-en-us",
    "linux-doc-6.1",
    "openjdk-17-doc",
    "postgresql-doc-15",
)
MORE_PACKAGES = (
    "erlang-doc",
    "ghc-doc",
    "python-pandas-doc",
    "racket-doc",
    "sagemath-doc",
)
DEFAULT_WORK = Path.home() / ".cache" / "unrote-bench"
DEFAULT_MEGABYTES = (5, 50, 100, 200, 400)

MARKUP = frozenset({".htm", ".html", ".xhtml"})
PLAIN = frozenset({".md", ".rst", ".txt"})

# html.parser builds an event per tag in Python: minutes for these 500 MB. Text between tags is all
# that is wanted, and documentation generators write well-formed pages, so that three patterns do.
INVISIBLE = re.compile(
    r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>|<[!?][^>]*>", re.DOTALL | re.IGNORECASE
)
BLOCK = re.compile(
    r"</?(?:address|article|aside|blockquote|body|br|caption|dd|details|div|dl|dt|figcaption|figure"
    r"|footer|form|h[1-6]|header|hr|li|main|nav|ol|option|p|pre|section|summary|table|tbody|td|tfoot"
    r"|th|thead|tr|ul)\b[^>]*>",
    re.IGNORECASE,
)
TAG = re.compile(r"</?[A-Za-z][^>]*>")
BLANKS = re.compile(r"[ \t\r\f\v\xa0]+")
BLANK_LINES = re.compile(r" ?\n[ \n]*")


def strip_tags(page: str) -> str:
    """The visible text of an HTML page, a line for each block element."""
    text = INVISIBLE.sub(" ", page)
    text = TAG.sub("", BLOCK.sub("\n", text))
    text = BLANKS.sub(" ", html.unescape(text))
    return BLANK_LINES.sub("\n", text).strip()


def text_of(path: Path) -> str:
    """The text of one file, or nothing if it is not text (a picture, another encoding)."""
    data = path.read_bytes()
    suffix = path.suffix
    if suffix == ".gz":
        data, suffix = gzip.decompress(data), path.with_suffix("").suffix
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return strip_tags(text) if suffix in MARKUP else text.strip()


def is_document(path: Path) -> bool:
    """Whether a file is a page of documentation, judged by its name (packed or not)."""
    plain_name = path.with_suffix("") if path.suffix == ".gz" else path
    return plain_name.suffix in MARKUP | PLAIN and path.is_file() and not path.is_symlink()


def row(folder: Path, path: Path) -> tuple[int, bytes]:
    """Bytes of text, and the line of JSON; (0, b"") for an empty document."""
    text = text_of(path)
    if not text:
        return 0, b""
    name = path.relative_to(folder).as_posix()
    line = {"id": name, "text": text, "source": name.partition("/")[0]}
    return len(text.encode()), orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def unpack(work: Path, names: Sequence[str]) -> Path:
    """Downloads the packages and unpacks them, where that has not been done; the folder."""
    packages, unpacked = work / "packages", work / "unpacked"
    packages.mkdir(parents=True, exist_ok=True)
    unpacked.mkdir(exist_ok=True)
    missing = [name for name in names if not list(packages.glob(f"{name}_*.deb"))]
    if missing:
        try:
            subprocess.run(["apt-get", "download", *missing], cwd=packages, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"apt-get download failed ({error}); is this Debian, was apt-get update run?")
    for name in names:
        target = unpacked / name
        if target.exists():
            continue
        partial_target = unpacked / f"{name}.partial"  # an interrupted run leaves no half package
        shutil.rmtree(partial_target, ignore_errors=True)
        [archive] = packages.glob(f"{name}_*.deb")
        subprocess.run(["dpkg", "-x", str(archive), str(partial_target)], check=True)
        partial_target.rename(target)
    return unpacked


def documents(folder: Path, names: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Rows in a fixed order: packages as named, files by path."""
    paths = [
        path for name in names for path in sorted((folder / name).rglob("*")) if is_document(path)
    ]
    with ProcessPoolExecutor() as pool:
        yield from pool.map(partial(row, folder), paths, chunksize=64)


def drawn(folder: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """Rows of one package in an order drawn by a hash, so that a part of it is of all kinds."""
    root = folder / name
    paths = [path for path in root.rglob("*") if is_document(path)]

    def draw(path: Path) -> bytes:
        return hashlib.sha256(path.relative_to(root).as_posix().encode()).digest()

    return (row(folder, path) for path in sorted(paths, key=draw))


def write(rows: Iterable[tuple[int, bytes]], out: Path) -> dict[str, object]:
    """Writes the non-empty rows; documents, bytes and digest of what was written."""
    count = size = 0
    digest = hashlib.sha256()
    temporary = out.with_suffix(".partial")
    with temporary.open("wb") as file:
        for text_bytes, line in rows:
            if text_bytes:
                count, size = count + 1, size + text_bytes
                digest.update(line)
                file.write(line)
    temporary.rename(out)
    print(f"{out}: {count:,} documents, {size / 1e6:.1f} MB of text")
    return {"documents": count, "text_bytes": size, "sha256": digest.hexdigest()}


def stored(corpus: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of a corpus that has been written."""
    with corpus.open("rb") as file:
        for line in file:
            yield len(orjson.loads(line)["text"].encode()), line


def first(rows: Iterable[tuple[int, bytes]], limit: int) -> Iterator[tuple[int, bytes]]:
    """Rows up to the one that reaches `limit` bytes of text."""
    total = 0
    for size, line in rows:
        yield size, line
        total += size
        if total >= limit:
            return


def extended(work: Path, corpus: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of the corpus, then those of the further packages."""
    yield from stored(corpus)
    yield from documents(unpack(work, MORE_PACKAGES), MORE_PACKAGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="work folder")
    parser.add_argument(
        "--megabytes", type=int, nargs="*", default=DEFAULT_MEGABYTES, help="sizes of the subsets"
    )
    parser.add_argument("--packages", nargs="*", default=(), help="one file each, nothing else")
    parser.add_argument("--most", type=float, default=12, help="MB of each of these packages")
    arguments = parser.parse_args()
    work: Path = arguments.work
    for name in arguments.packages:
        limit = int(arguments.most * 1e6)
        write(first(drawn(unpack(work, [name]), name), limit), work / f"{name}.jsonl")
    if arguments.packages:
        return
    corpus = work / "debian.jsonl"
    sheet = work / "corpus.json"
    facts = orjson.loads(sheet.read_bytes()) if sheet.exists() else {}
    if not corpus.exists():
        facts[corpus.name] = write(documents(unpack(work, PACKAGES), PACKAGES), corpus)
    for megabytes in arguments.megabytes:
        limit, subset = megabytes * 1_000_000, work / f"debian-{megabytes}.jsonl"
        beyond = limit > facts[corpus.name]["text_bytes"]
        rows = extended(work, corpus) if beyond else stored(corpus)
        found = write(first(rows, limit), subset)
        if found["text_bytes"] < limit:
            print(f"all packages have fewer than {megabytes} MB of text: no {subset.name}")
            facts.pop(subset.name, None)
            subset.unlink()
            continue
        facts[subset.name] = found
    facts["packages"] = sorted(path.name for path in (work / "packages").glob("*.deb"))
    sheet.write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
