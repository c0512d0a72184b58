"""What every peer's script does the same way: read the corpus, cut shingles, write the answer.

Runs in each peer's own environment, so it imports nothing but orjson.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

THRESHOLD = 0.8
NGRAM = 5
PERMUTATIONS = 128

WORD = re.compile(r"\w+")


def arguments() -> tuple[Path, Path, list[str]]:
    """INPUT.jsonl, OUTPUT and whatever follows."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {Path(sys.argv[0]).name} INPUT.jsonl OUTPUT")
    return Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file, one at a time."""
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def shingles(text: str) -> set[str]:
    """Distinct word 5-grams of the lower-cased text, as users of these libraries write it."""
    words = WORD.findall(text.lower())
    if len(words) < NGRAM:
        return {" ".join(words)} if words else set()
    return set(map(" ".join, zip(*(words[i:] for i in range(NGRAM)), strict=False)))


def write_removed(ids: Iterable[str], out: Path) -> None:
    """The answer: ids of the removed documents, one on a line."""
    out.write_text("".join(f"{identifier}\n" for identifier in ids))
