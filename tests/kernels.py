"""Which kernels a run uses, for which types: python -m tests.kernels writes signatures.json.

Jobs with every setting that reaches a kernel run here, in one process, on small texts; what numba
is asked to load or compile for calls from Python is written down.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import unrote
from tests.corpora import write_corpus
from unrote.corpus import kernel
from unrote.dedup import near
from unrote.pii.ner.decoding import decode
from unrote.pii.ner.labels import scheme_of

ROOT = Path(__file__).parents[1]
SIGNATURES = Path(kernel.__file__).with_name("signatures.json")

SMALL = {"memorization.max_tokens": 2000, "engine.workers": 1}

PLAIN = {"pii.enabled": False, "memorization.enabled": False}

JOBS: tuple[Mapping[str, object], ...] = (
    {"memorization.masks": "all", "languages.enabled": True},
    PLAIN | {"dedup.near.unit": "character", "dedup.near.ngram": 8, "dedup.near.keep": "longest"},
    PLAIN | {"dedup.passages.min_bytes": 24, "dedup.exact.normalise": "none", "output.data": False},
    PLAIN | {"dedup.passages.method": "suffix-array", "dedup.passages.boundary": "line"},
    PLAIN | {"dedup.passages.min_words": 12, "dedup.near.keep": "newest:date"},
)


CHATS = {"input.text": "messages[].content"}


def used() -> dict[str, list[str]]:
    """Kernels that JOBS call from Python, and the types of the arguments, as numba writes them."""
    found: dict[str, set[str]] = {}
    compiling: list[object] = []  # what asks for kernels meanwhile is a kernel that calls them
    load, save = kernel._Cache.load_overload, kernel._Cache.save_overload

    def noted(cache: object, signature: object, context: object) -> object:
        function = cache._function
        if not compiling:
            name = f"{function.__module__}:{function.__qualname__}"
            found.setdefault(name, set()).add(", ".join(map(str, signature)))
        loaded = load(cache, signature, context)
        if loaded is None:
            compiling.append(cache)
        return loaded

    def saved(cache: object, signature: object, result: object) -> None:
        compiling.pop()
        save(cache, signature, result)

    with (
        mock.patch.object(kernel._Cache, "load_overload", noted),
        mock.patch.object(kernel._Cache, "save_overload", saved),
    ):
        run_all()
    return {name: sorted(types) for name, types in sorted(found.items())}


def run_all() -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpora = list(_corpora(Path(folder)))
        for number, settings in enumerate(JOBS):
            for index, corpus in enumerate(corpora if number == 1 else corpora[:1]):
                out = Path(folder) / f"out-{number}-{index}"
                unrote.clean(corpus, out, settings=SMALL | dict(settings))
        exam = Path(folder) / "exam.jsonl"
        exam.write_text(json.dumps({"text": "an item of a set that has more than eight words"}))
        against = PLAIN | {"contamination.sets": [{"path": str(exam)}]}
        unrote.clean(corpora[0], Path(folder) / "evaluated", settings=against)
        with mock.patch("unrote.pipelines.analysis.FINAL_DOCUMENTS", 0):
            unrote.clean(corpora[0], Path(folder) / "rounds", settings=PLAIN)
            with mock.patch("unrote.dedup.blocks.BLOCK_STEPS", 1):
                unrote.clean(corpora[0], Path(folder) / "blocks", settings=PLAIN)
        chats = _chats(Path(folder) / "chats")
        unrote.clean(chats, Path(folder) / "out-chats", settings=PLAIN | CHATS)
        texts = [f"a text of {n % 7} words that is much like the others here" for n in range(40)]
        unrote.signatures(texts)
        near.near_duplicates(texts)
        for method in ("anchors", "suffix-array"):
            unrote.duplicate_spans(texts, min_bytes=24, method=method)
        scheme = scheme_of(("O", "B-PER", "I-PER"), "")
        decode(np.zeros((4, 3), dtype=np.float32), scheme, opens=True, closes=True)


def _corpora(folder: Path) -> Iterator[Path]:
    yield write_corpus(folder / "jsonl", count=60)
    lines = (folder / "jsonl" / "web" / "a.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    parquet = folder / "parquet"
    parquet.mkdir()
    table = pa.table({"text": [row.get("text") for row in rows]})
    pq.write_table(table, parquet / "one.parquet")
    yield parquet
    array = folder / "array"
    array.mkdir()
    (array / "one.json").write_text(json.dumps(rows, indent=1))
    yield array
    plain = folder / "plain"
    plain.mkdir()
    for number, row in enumerate(rows[:9]):
        (plain / f"{number}.txt").write_text(row.get("text") or "")
    yield plain


def _chats(folder: Path) -> Path:
    folder.mkdir()
    rows = [
        {"messages": [{"content": f"turn {k} of chat {n}"} for k in range(3)]} for n in range(9)
    ]
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def main() -> None:
    SIGNATURES.write_text(json.dumps(used(), indent=1) + "\n")
    sys.stdout.write(f"wrote {SIGNATURES}\n")


if __name__ == "__main__":
    main()
