"""Copies of sequences in the three views, against str.count over texts that are made by hand."""

import unicodedata
from types import SimpleNamespace

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.dedup import reference
from tests.dedup.mini_engine import MiniEngine, rows_of, table
from tests.dedup.views import VIEWS, View, views
from tests.examples import examples
from unrote.corpus.beside import ReleasedView
from unrote.corpus.schema import (
    DUPLICATES,
    REJECTS,
    REPLACEMENTS,
    SELECTED,
    SEQUENCE_COPIES,
    SPANS,
    TEXT,
)
from unrote.dedup.copies import CountCopies, SumCopies
from unrote.dedup.occurrences import LEAST

EDITS = (SPANS.name, REPLACEMENTS.name)
STAGE = CountCopies(duplicates=True, rejects=REJECTS.name, view=ReleasedView(EDITS, cut=True))


def wanted(sequences: list[tuple[int, int, str, str | None]]) -> pa.Table:
    """Rows of SELECTED for (doc, number, text, source)."""
    rows = [(doc, n, text, source) for doc, n, text, source in sequences]
    return table(SELECTED.schema, rows)


def ran(case: View, sequences, seed: int = 0):
    """By several workers, of which each has some of the texts and all of the sequences."""
    engine = MiniEngine(seed)
    workers = 1 + seed % 3
    parts = []
    for worker in range(workers):
        own = {doc: t for n, (doc, t) in enumerate(case.texts.items()) if n % workers == worker}
        if own:
            parts.append(_counted(engine, case, own, sequences))
    counted = pa.concat_tables(parts)
    return rows_of(engine.group(SumCopies(), counted=counted)["counted"])


def _counted(engine: MiniEngine, case: View, own: dict[int, str], sequences) -> pa.Table:
    tables = {
        DUPLICATES.name: case.duplicates,
        REJECTS.name: case.rejects,
        SPANS.name: case.spans,
        REPLACEMENTS.name: case.replacements,
    }

    def tagged():
        for batch in wanted(sequences).to_batches():  # read whole, before anything else
            for at in range(batch.num_rows):
                yield SELECTED.name, batch.slice(at, 1)
        beside = {name: rows.filter(_of(rows, own)) for name, rows in tables.items()}
        stage = SimpleNamespace(inputs=_BESIDE)
        yield from engine._ranges(stage, beside | {"text": table(TEXT, list(own.items()))})

    with STAGE.open() as run:
        batches = [batch for _, batch in run(tagged())]
    return pa.Table.from_batches(batches, SEQUENCE_COPIES.schema)


_BESIDE = {name: schema for name, schema in STAGE.inputs.items() if name != SELECTED.name}
"""What is read in step with the text."""


def _of(rows: pa.Table, own: dict[int, str]) -> pa.Array:
    return pa.array([doc in own for doc in rows["doc"].to_pylist()], pa.bool_())


def expected(case: View, sequences):
    rows = []
    for doc, number, text, source in sequences:
        before = text if source is None else source
        counts = (
            sum(t.count(before) for t in case.texts.values()),
            sum(t.count(before) for t in case.deduplicated.values()),
            sum(t.count(text) for t in case.released.values()),
        )
        own = set(reference.shingles(text, symbols=False))
        near = 0
        for released in case.released.values():
            if text not in released:
                shared = len(own & set(reference.shingles(released, symbols=False)))
                near += shared if own and shared >= LEAST * len(own) else 0
        if any(counts) or near:
            rows.append((doc, number, *counts, near, len(own)))
    return sorted(rows)


@st.composite
def counting(draw):
    """A corpus, and sequences of which most are cut out of its views."""
    case = draw(VIEWS)
    found = []
    views_ = [case.texts, case.deduplicated, case.released]
    for number in range(draw(st.integers(1, 6))):
        texts = [t for t in draw(st.sampled_from(views_)).values() if t] or ["cat "]
        text = draw(st.sampled_from(texts))
        start = draw(st.integers(0, len(text) - 1))
        part = text[start : start + draw(st.integers(1, 60))]
        source = draw(st.sampled_from([None, None, "cat ", "on 中文 ", part + "é"]))
        found.append((draw(st.integers(0, 3)), number, part, source))
    return case, sorted(found)


@examples(150)
@given(counting(), st.integers(0, 9))
def test_like_counting(given_, seed):
    case, sequences = given_
    assert ran(case, sequences, seed) == expected(case, sequences)


@examples(100)
@given(
    st.lists(st.text(st.sampled_from("aé ñ한Å"), max_size=30), min_size=1, max_size=6),
    st.integers(0, 9),
    st.data(),
)
def test_however_letters_are_spelled(texts, seed, data):
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    parts = [text[data.draw(st.integers(0, len(text) - 1)) :] for text in texts if text]
    spelled = st.sampled_from(["NFC", "NFD"])

    def either(text):
        return "".join(unicodedata.normalize(data.draw(spelled), c) for c in text)

    plain, mixed = (
        (views(dict(enumerate(map(f, texts)))), [(0, n, f(p), None) for n, p in enumerate(parts)])
        for f in (str, either)
    )
    assert ran(*mixed, seed) == ran(*plain) == expected(*plain)


def test_each_view_has_its_own_count():
    poem = "Half a league, half a league, half a league onward"
    name, other = "Alfred Tennyson", "Anton Tischler"
    texts = {n: f"{poem}, said {name}. That is number {n}." for n in range(1, 6)}
    size = len(poem)
    at = texts[1].index(name)
    case = views(
        texts,
        duplicates=[5],
        rejects=[4],
        cuts={3: [(0, size)]},
        changes={n: [(at, at + len(name), other)] for n in (1, 2, 3)},
    )
    first = (1, 0, poem, None)
    second = (1, 1, f"said {other}", f"said {name}")
    rows = ran(case, [first, second])
    assert [row[:5] for row in rows] == [(1, 0, 5, 3, 2), (1, 1, 5, 4, 3)]
    assert rows == expected(case, [first, second])


def test_without_sequences():
    case = views({1: "a text"})
    assert ran(case, []) == []
