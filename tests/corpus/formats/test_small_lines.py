"""Many small files at once are as they are one by one."""

import json
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from unrote.corpus.edits import EDITS
from unrote.corpus.formats import small_lines
from unrote.corpus.formats.small_lines import groups_of, read_together
from unrote.corpus.read import read_cut, read_cuts
from unrote.corpus.release import rewrite, rewrite_unedited
from unrote.corpus.rows import Fields
from unrote.corpus.schema import doc_key
from unrote.corpus.shard import Corpus, Cut, Shard, Slice

GOOD = [
    json.dumps({"text": "one"}),
    json.dumps({"text": "zwei ü", "id": 7, "source": "s", "name": "x"}, ensure_ascii=False),
    ' {"id": "own", "text": "\\u00e9 and more", "order": "2020-01-01"}\t',
    '{"text": ""}',
    '{"text": "first", "text": "last"}',
]
ODD = ["", "  ", "not JSON", '{"text": null}', '{"other": 1}', '{"text": "\\ud800"}', "[]"]

contents = st.lists(st.sampled_from([*GOOD * 3, *ODD]), max_size=5).flatmap(
    lambda lines: st.sampled_from(["", "\n", "\r\n"]).map(
        lambda end: "\n".join(lines) + end if lines else end
    )
)
files = st.lists(st.one_of(contents, contents.map(lambda text: "\ufeff" + text)), max_size=9)


def corpus_of(folder, texts):
    shards, cuts = [], []
    for number, text in enumerate(texts):
        path, stored = folder / f"{number:04d}.jsonl", text.encode()
        path.write_bytes(stored)
        shards.append(
            Shard(number, path.name, str(path), "jsonl", "", len(stored), "", f"from {number % 2}")
        )
        cuts.append(Cut(number, 0, len(stored), 0))
    return Corpus(tuple(shards), [Slice(0, tuple(cuts))]), cuts


def rows_of(tagged):
    """Rows and rejects, in their order."""
    found = {"text": [], "rejects": []}
    for tag, batch in tagged:
        found[tag] += batch.to_pylist()
    return found


@examples(150)
@given(files, st.sampled_from(["text", "records"]), st.sampled_from([30, 200, 1 << 18]), st.data())
def test_they_are_read_as_one_by_one(tmp_path_factory, texts, view, together, data):
    corpus, cuts = corpus_of(tmp_path_factory.mktemp("small"), texts)
    fields = Fields(text="text", columns=("name",), order="order")
    keys = st.builds(doc_key, st.integers(0, len(texts)), st.integers(0, 5))
    docs = data.draw(st.none() | st.sets(keys, max_size=9).map(lambda some: np.array(sorted(some))))
    docs = None if docs is None else docs.astype(np.int64)
    one_by_one = [one for cut in cuts for one in read_cut(corpus, cut, fields, view, docs)]
    with mock.patch.object(small_lines, "TOGETHER", together):
        several = read_cuts(corpus, cuts, fields, view, docs)
        assert rows_of(several) == rows_of(one_by_one)


@examples(150)
@given(files, st.sampled_from([30, 1 << 18]))
def test_they_are_released_as_one_by_one(tmp_path_factory, texts, together):
    folder = tmp_path_factory.mktemp("small")
    corpus, cuts = corpus_of(folder, texts)
    with mock.patch.object(small_lines, "TOGETHER", together):
        for group in groups_of(corpus, cuts):
            released = rewrite_unedited(corpus, group, Fields())
            assert len(released) == len(group)
            for cut, content in zip(group, released, strict=True):
                rewrite(
                    corpus,
                    [cut],
                    Fields(),
                    iter([EDITS.empty_table().to_batches()][0]),
                    folder / "out",
                )
                assert content is None or content == (folder / "out").read_bytes()


def test_plain_ones_are_not_read_twice(tmp_path):
    """Nothing that is usual makes them slow: a last line without an end, an empty file."""
    corpus, cuts = corpus_of(tmp_path, ['{"text": "a"}\n', '{"text": "b"}', "", "\n"])
    assert [len(group) for group in groups_of(corpus, cuts)] == [4]
    found = read_together(corpus, cuts, Fields())
    assert found.rows.tolist() == [0, 0]
    assert list(found.released()) == [b'{"text": "a"}\n', b'{"text": "b"}', b"", b""]


@pytest.mark.parametrize("limit", [10, 1 << 20])
def test_a_limit_for_documents_holds(tmp_path, limit):
    corpus, cuts = corpus_of(tmp_path, ['{"text": "abcdefgh"}\n'] * 2)
    found = rows_of(read_cuts(corpus, cuts, Fields(max_document=limit), "records"))
    assert len(found["rejects"]) == (2 if limit == 10 else 0)
