"""What is read of a damaged file, and written back: it holds, or is refused in a line of ours."""

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from benchmarks.hostile.seeds import damaged
from unrote.corpus.columns import refuse_columns
from unrote.corpus.edits import EDITS
from unrote.corpus.errors import UnroteError
from unrote.corpus.pinning import pin
from unrote.corpus.read import Fields, read_cut
from unrote.corpus.release import rewrite
from unrote.corpus.shard import Corpus

FIELDS = (Fields(), Fields(text=("text", "meta.tags[]")), Fields(columns=("source",)))
"""The text alone; several values; and another column that is edited."""


def reader(chance: random.Random, folder: Path) -> str:
    """A damaged file, read and written back."""
    name, content = damaged(chance)
    path = folder / name
    path.write_bytes(content)
    (folder / "released").mkdir()
    try:
        return check(path, folder / "released" / name, chance.choice(FIELDS))
    except UnroteError as error:
        said = str(error)
    assert "\n" not in said, "more than a line"
    return "refused"


def rows_of(corpus: Corpus, fields: Fields, view: str) -> tuple[dict[int, str], dict[int, str]]:
    """Texts and reasons of rejects, by key. Raises UnroteError; AssertionError where rows come
    twice or not in order.
    """
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for part in corpus.slices:
        for cut in part.cuts:
            for tag, batch in read_cut(corpus, cut, fields, view):  # type: ignore[arg-type]
                batch.validate(full=True)
                found, column = (texts, "text") if tag == "text" else (reasons, "reason")
                pairs = zip(batch["doc"].to_pylist(), batch[column].to_pylist(), strict=True)
                for doc, said in pairs:
                    assert doc not in texts, "a row comes twice"
                    assert doc not in reasons, "a row comes twice"
                    found[doc] = said
    assert list(texts) == sorted(texts), "rows are not in their order"
    return texts, reasons


def check(path: Path, out: Path, fields: Fields) -> str:
    """Read `path`, write it back to `out` as it is and without some rows, and read both.

    Returns "read" or "rejects"; raises UnroteError where it is refused, AssertionError where what
    was read is not what comes back.
    """
    corpus = pin([path])
    refuse_columns(corpus, fields)
    texts, reasons = rows_of(corpus, fields, "records")
    assert rows_of(corpus, fields, "text")[0] == texts, "views differ"
    gone = sorted(texts)[::2]
    for removed in ([], gone):
        edits = [(doc, 0, None) for doc in removed]
        left = [text for doc, text in texts.items() if doc not in removed]
        assert _released(corpus, fields, edits, out) == left, (
            "what is released is not what was read"
        )
    return "rejects" if reasons else "read"


def _released(
    corpus: Corpus, fields: Fields, edits: Sequence[tuple[int, int, str | None]], out: Path
) -> list[str]:
    """The texts of the released form, read again."""
    cuts = [cut for part in corpus.slices for cut in part.cuts]
    rows = [dict(zip(EDITS.names, edit, strict=True)) for edit in edits]
    batches = [pa.RecordBatch.from_pylist(rows, schema=EDITS)] if rows else []
    out.unlink(missing_ok=True)
    count = rewrite(corpus, cuts, fields, batches, out)
    if not out.exists():
        assert count == 0, "nothing was written"
        return []
    texts, reasons = rows_of(pin([out]), fields, "records")
    assert not reasons, "what is released is rejected"
    assert len(texts) == count, "another number of rows was written"
    return list(texts.values())
