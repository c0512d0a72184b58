"""What it takes to add a format: one module, which is this one, and one registration."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import unrote
from unrote.corpus import formats
from unrote.corpus.errors import InputError
from unrote.corpus.finding import find
from unrote.corpus.pinning import pin
from unrote.corpus.rows import rejects, row_batches
from unrote.corpus.storage import open_stored, storage
from unrote.corpus.text import bytes_view, is_utf8

SEPARATOR = b"\n%%\n"


class Fortunes(formats.Format):
    """Texts between lines of two per cent signs, as fortune(6) keeps them."""

    name = "fortunes"
    suffixes = {".fortunes": ""}  # noqa: RUF012

    def read(self, shard, cut, fields, view, selected):
        texts = _texts(shard)
        rows = selected.of(cut.row, len(texts))
        good = [row for row in rows.tolist() if is_utf8(bytes_view(texts[row]))]
        data = b"".join(texts[row] for row in good)
        offsets = np.cumsum([0, *(len(texts[row]) for row in good)], dtype=np.int64)
        records = view == "records"
        extra, columns = ([None] * 3, [None] * len(fields.columns)) if records else ([], [])
        numbers = np.array(good, dtype=np.int64)
        yield from row_batches(shard, numbers, bytes_view(data), offsets, extra, columns)
        if records:
            bad = [row for row in rows.tolist() if row not in good]
            yield from rejects(shard, bad, ["invalid UTF-8"] * len(bad))

    def rewrite(self, shard, cuts, fields, edits, path):
        texts = _texts(shard)
        readable = np.array([is_utf8(bytes_view(text)) for text in texts])
        kept, new = edits.of_rows(0, readable, lambda _at, _field: False)
        for row, strings in new.items():
            texts[row] = strings[0].encode()
        with storage(path, "write"):
            path.write_bytes(SEPARATOR.join(texts[row] for row in np.flatnonzero(kept)))
        return int(kept.sum())


def _texts(shard):
    with storage(shard.url, "read"), open_stored(shard.url) as file:
        return file.read().split(SEPARATOR)


@pytest.fixture
def fortunes(monkeypatch):
    monkeypatch.setattr(formats, "_FORMATS", dict(formats._FORMATS))
    formats.register(Fortunes())


def write(folder: Path, *texts: bytes) -> Path:
    folder.mkdir()
    (folder / "a.fortunes").write_bytes(SEPARATOR.join(texts))
    return folder


TEXTS = [
    b"A stitch in time saves nine, but who counts stitches in the dark of the evening?",
    b"Write to Martha at martha.jones@gmail.com if the well runs dry again this summer.",
    b"A stitch in time saves nine, but who counts stitches in the dark of the evening?",
    b"\xff is no letter",
    b"Never measure the height of a mountain until you have reached the top of it.",
]


@pytest.mark.usefixtures("fortunes")
def test_a_new_format_is_cleaned(tmp_path):
    corpus = write(tmp_path / "in", *TEXTS)
    settings = {"engine.workers": 1, "memorization.enabled": False, "input.max_rejects": 0.5}
    unrote.clean(corpus, tmp_path / "out", settings=settings)
    kept = (tmp_path / "out/data/a.fortunes").read_bytes().split(SEPARATOR)
    assert [kept[0], kept[2]] == [TEXTS[0], TEXTS[4]]
    assert kept[1].startswith(b"Write to ")
    assert kept[1].endswith(b" if the well runs dry again this summer.")
    assert b"martha.jones@gmail.com" not in kept[1]
    assert len(kept) == 3
    refused = pq.read_table(tmp_path / "out/tables/rejects").to_pylist()
    assert [(row["row"], row["reason"]) for row in refused] == [(3, "invalid UTF-8")]


def test_a_format_that_is_not_registered_is_unknown(tmp_path):
    corpus = write(tmp_path / "in", *TEXTS)
    with pytest.raises(
        InputError, match=r"of a kind that is read: .*\.jsonl, .*\.parquet, .*\.txt"
    ):
        find([corpus])


@pytest.mark.usefixtures("fortunes")
def test_a_run_of_another_version_with_more_formats(tmp_path):
    shard = pin([write(tmp_path / "in", *TEXTS)]).shards[0]
    assert formats.format_of(shard).name == "fortunes"
    del formats._FORMATS["fortunes"]
    with pytest.raises(
        InputError, match=r"has the format 'fortunes'; known are jsonl, json, json-values, parquet"
    ):
        formats.format_of(shard)


@pytest.mark.usefixtures("fortunes")
def test_names_and_suffixes_are_taken_once():
    with pytest.raises(ValueError, match="another format has"):
        formats.register(Fortunes())
    same = type("Same", (Fortunes,), {"name": "others"})
    with pytest.raises(ValueError, match=r"the suffixes \.fortunes"):
        formats.register(same())
    assert formats.kind_of("x/A.FORTUNES") == ("fortunes", "")


def test_only_formats_and_the_verifier_ask_which_format_it_is():
    root = Path(unrote.__file__).parent
    asked = {
        str(path.relative_to(root))
        for path in root.glob("*/**/*.py")
        if ".format ==" in path.read_text() or ".format !=" in path.read_text()
    }
    assert {name for name in asked if not name.startswith("pipelines/verify/")} == set()
    assert asked  # the verifier shares no code with what it looks at
