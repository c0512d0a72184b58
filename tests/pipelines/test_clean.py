"""What a corpus may hold, and what comes out of it; every run is verified."""

import gzip
import html
import json
import os
import subprocess
import sys
import time
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.command import ROOT, files_below, unrote, written
from tests.command import settings as plain_settings
from tests.corpora import Writer, documents, rows, write_corpus, write_jsonl, write_parquet
from tests.corpus.helpers import cause
from tests.examples import examples
from unrote.corpus.errors import InputError
from unrote.pipelines.clean import clean
from unrote.pipelines.progress import Silent
from unrote.pipelines.verify import verify

ALONE = "pii.enabled=false"
"""Deduplication alone, where a test is about that: no processes are started to scan megabytes."""

GOOD = b'{"text": "all is well"}\n'


def run(corpus, out, *given, check=True):
    """Clean, verify, and give the report."""
    report = clean([str(corpus)], str(out), plain_settings(*given), Silent())
    if check:
        verdict = verify(str(out))
        assert verdict.ok, [check.failures for check in verdict.checks if check.failed]
    return report


def rejects(out):
    found = [pq.read_table(path).to_pylist() for path in files_below(out / "tables" / "rejects")]
    return {(row["shard"], row["row"]): cause(row["reason"]) for table in found for row in table}


def texts_of(path):
    return [json.loads(line)["text"] for line in path.read_bytes().splitlines()]


class TestRejects:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"this is no JSON", "not JSON"),
            (b'{"text": "cut off', "not JSON"),
            (b'{"text": "a"} {"text": "b"}', "not JSON"),
            (b'{"text": NaN}', "text is NaN"),
            (b'["text"]', "not a JSON object"),
            (b'{"body": "elsewhere"}', "no field 'text'"),
            (b'{"text": null}', "text is null"),
            (b'{"text": 12.5}', "text is a number"),
            (b'{"text": true}', "text is a boolean"),
            (b'{"text": ["a"]}', "text is an array"),
            (b'{"text": {"a": 1}}', "text is an object"),
            (b'{"text": "\xff\xfe"}', "invalid UTF-8"),
            (b'{"text": "\xed\xa0\x80"}', "invalid UTF-8"),
            (b'{"text": "\\ud83d alone"}', "lone surrogate in text"),
            (b'{"text": "raw \x00 byte"}', "not JSON"),
        ],
    )
    def test_a_line(self, tmp_path, line, reason):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jsonl").write_bytes(GOOD + line + b"\n" + GOOD.replace(b"w", b"b"))
        report = run(tmp_path / "in", tmp_path / "out", "input.max_rejects=1")
        assert rejects(tmp_path / "out") == {("a.jsonl", 1): reason}
        assert report.rejects.rows == 1
        assert len(texts_of(tmp_path / "out" / "data" / "a.jsonl")) == 2

    @pytest.mark.parametrize("ending", ["gz", "zst"])
    def test_a_torn_end(self, tmp_path, ending):
        packed = {"gz": gzip.compress, "zst": zstandard.compress}[ending](
            b"".join(json.dumps(row).encode() + b"\n" for row in rows(documents(3, 400), "a"))
        )
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / f"a.jsonl.{ending}").write_bytes(packed[: len(packed) * 9 // 10])
        run(tmp_path / "in", tmp_path / "out", "input.max_rejects=1")
        ((shard, row),) = rejects(tmp_path / "out")
        assert rejects(tmp_path / "out")[shard, row] == "compressed data ends early"
        documents_read = pq.read_table(tmp_path / "out/tables/documents/00000.parquet")
        assert row == documents_read.num_rows
        done = unrote("clean", tmp_path / "in", "-o", tmp_path / "strict")
        assert (done.status, "compressed data ends early" in done.err) == (3, row < 1000)

    def test_content_says_how_it_is_compressed(self, tmp_path):
        (tmp_path / "in").mkdir()
        for ending in ("gz", "zst", "xz", "bz2"):
            (tmp_path / "in" / f"a.jsonl.{ending}").write_bytes(GOOD)
        (tmp_path / "in" / "a.jsonl").write_bytes(gzip.compress(GOOD))
        run(tmp_path / "in", tmp_path / "out")
        assert gzip.decompress((tmp_path / "out/data/a.jsonl").read_bytes()) == GOOD
        for ending in ("gz", "zst", "xz", "bz2"):
            assert (tmp_path / "out" / "data" / f"a.jsonl.{ending}").read_bytes() == b""

    def test_a_text_file(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.txt").write_bytes(b"caf\xe9")
        (tmp_path / "in" / "b.txt").write_bytes(b"caf\xc3\xa9")
        run(tmp_path / "in", tmp_path / "out", "input.max_rejects=1")
        assert rejects(tmp_path / "out") == {("a.txt", 0): "invalid UTF-8"}
        assert [p.name for p in files_below(tmp_path / "out" / "data")] == ["b.txt"]

    def test_nulls_in_parquet(self, tmp_path):
        write_parquet(tmp_path / "in" / "a.parquet", [{"text": t} for t in ("one", None, "two")])
        run(tmp_path / "in", tmp_path / "out", "input.max_rejects=1")
        assert rejects(tmp_path / "out") == {("a.parquet", 1): "text is null"}

    def test_no_message_holds_text(self, tmp_path):
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "a.jsonl").write_bytes(b'{"text": "the secret \xff"}\nthe secret\n')
        done = unrote("clean", tmp_path / "in", "-o", tmp_path / "out")
        assert done.status == 3
        assert "secret" not in done.err + done.out


class TestParquetThatCannotBeUsed:
    """Is refused before anything is started."""

    def refused(self, tmp_path, *given):
        with pytest.raises(InputError) as caught:
            run(tmp_path / "in", tmp_path / "out", *given)
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    def test_without_the_text_column(self, tmp_path):
        write_parquet(tmp_path / "in" / "a.parquet", [{"body": "b", "n": 1}])
        assert "no column 'text'. Columns there: body, n." in self.refused(tmp_path)
        run(tmp_path / "in", tmp_path / "out", "input.text=body")

    def test_where_it_holds_no_text(self, tmp_path):
        write_parquet(tmp_path / "in" / "a.parquet", [{"text": 5}])
        assert "is int64" in self.refused(tmp_path)

    def test_that_is_torn(self, tmp_path):
        write_parquet(tmp_path / "in" / "a.parquet", [{"text": "x" * 1000}] * 50)
        path = tmp_path / "in" / "a.parquet"
        path.write_bytes(path.read_bytes()[:-30])
        assert "is not a Parquet file" in self.refused(tmp_path)


class TestText:
    ODD = (
        "nul \0 and \x01\x1f controls",
        "\u202eright to left\u202c and עברית with العربية",
        "combining e\u0301\u0323 Z\u0351\u036b\u0343\u036a\u0302 \u0b95\u0bcd\u0bb7",
        "👩‍👩‍👧‍👦 🇩🇪 👍🏽 \U0010ffff \ufffe \ufeff",
        "漢字かな交じり文、全角。한국어 텍스트. ไม่มีช่องว่าง",
        "line\u2028separator\u2029 nel\x85 nbsp\xa0 zwsp\u200b crlf\r\n",
    )

    @pytest.mark.parametrize("ascii_only", [False, True])
    def test_of_every_kind_comes_through(self, tmp_path, ascii_only):
        texts = [*self.ODD, *(f"{n} {odd * 12} {n}" for n, odd in enumerate(self.ODD * 2))]
        write_jsonl(tmp_path / "in" / "a.jsonl", rows(texts, "a"), ascii_only=ascii_only)
        write_parquet(tmp_path / "in" / "b.parquet", rows([t + " end" for t in texts], "b"))
        run(tmp_path / "in", tmp_path / "out", "dedup.near.enabled=false")
        assert texts_of(tmp_path / "out" / "data" / "a.jsonl")[: len(self.ODD)] == list(self.ODD)

    def test_empty_documents(self, tmp_path):
        write_jsonl(tmp_path / "in" / "a.jsonl", rows(["", "", " \n", "x", "", "x y"], "a"))
        run(tmp_path / "in", tmp_path / "out")
        assert texts_of(tmp_path / "out" / "data" / "a.jsonl") == ["", "x", "x y"]

    def test_no_documents(self, tmp_path):
        (tmp_path / "in").mkdir()
        for name in ("a.jsonl", "b.txt"):
            (tmp_path / "in" / name).write_bytes(b"")
        (tmp_path / "in" / "c.jsonl.gz").write_bytes(gzip.compress(b"\n \n"))
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in" / "d.parquet")
        report = run(tmp_path / "in", tmp_path / "out")
        assert report.total.documents == 1  # an empty text file is a document

    def test_nothing_there_twice(self, tmp_path):
        texts = [f"{n} " + Writer(n).text(20) for n in range(40)]
        write_jsonl(tmp_path / "in" / "a.jsonl", rows(texts, "a"))
        run(tmp_path / "in", tmp_path / "out")
        written_ = (tmp_path / "out" / "data" / "a.jsonl").read_bytes()
        assert written_ == (tmp_path / "in" / "a.jsonl").read_bytes()

    def test_duplicate_ids(self, tmp_path):
        texts = [Writer(n).text(3) for n in range(6)]
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": "same", "text": t} for t in texts])
        run(tmp_path / "in", tmp_path / "out")
        assert texts_of(tmp_path / "out" / "data" / "a.jsonl") == texts


class TestLarge:
    def test_one_document_of_20_mb(self, tmp_path):
        writer = Writer(5)
        block = writer.text(1000)
        text = "".join(block if n % 9 == 4 else writer.text(1000) for n in range(180))
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": text}])
        assert (tmp_path / "in" / "a.jsonl").stat().st_size > 15_000_000
        run(tmp_path / "in", tmp_path / "out", check=False)
        (left,) = texts_of(tmp_path / "out" / "data" / "a.jsonl")
        assert left.count(block[100:200]) == 1
        assert len(text) - 20 * len(block) <= len(left) <= len(text) - 18 * len(block)

    @pytest.mark.parametrize("boundary", ["word", "character"])
    def test_20_mb_of_one_character(self, tmp_path, boundary):
        write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": "a" * 20_000_000}, {"text": "a" * 300}])
        given = (f"dedup.passages.boundary={boundary}", ALONE)
        run(tmp_path / "in", tmp_path / "out", *given, check=False)
        left = [len(text) for text in texts_of(tmp_path / "out" / "data" / "a.jsonl")]
        assert left == [20_000_000 if boundary == "word" else 100]

    @pytest.mark.parametrize("kind", ["copies", "near-copies"])
    def test_time_is_proportional_to_copies(self, tmp_path, kind):
        writer = Writer(3)
        text = writer.text(40)
        copy = {"copies": lambda: text, "near-copies": lambda: writer.near_copy(text)}[kind]
        texts = [copy() for _ in range(8_000)]

        def seconds(count):
            folder = tmp_path / str(count)
            write_jsonl(folder / "in" / "a.jsonl", rows(texts[:count], "a"))
            start = time.process_time()
            clean(
                [str(folder / "in")],
                str(folder / "out"),
                plain_settings(ALONE),
                Silent(),
                fresh=True,
            )
            taken = time.process_time() - start
            assert len(texts_of(folder / "out" / "data" / "a.jsonl")) == 1
            return taken

        seconds(400)  # compiles
        # 16 times if it were quadratic; other processes take caches away
        assert any(seconds(8_000) < 0.5 + 8 * seconds(2_000) for _ in range(3))


class TestDatasets:
    def test_every_cleaned_shard_loads(self, tmp_path):
        write_corpus(tmp_path / "in", count=80)
        first = (tmp_path / "in" / "web" / "a.jsonl").read_bytes()
        (tmp_path / "in" / "web" / "z.jsonl").write_bytes(first)  # loses all its rows
        write_parquet(
            tmp_path / "in" / "web" / "z.parquet", list(map(json.loads, first.splitlines()))
        )
        run(tmp_path / "in", tmp_path / "out")
        assert (tmp_path / "out" / "data" / "web" / "z.jsonl").read_bytes() == b""
        counts = json.loads(
            subprocess.check_output(
                [sys.executable, "-c", _LOAD, tmp_path / "out" / "data"],
                cwd=ROOT,
                env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
                stderr=subprocess.DEVNULL,
                timeout=300,
            )
        )
        assert counts["parquet"] == count_rows(tmp_path / "out", ".parquet")
        assert counts["json"] == count_rows(tmp_path / "out", ".jsonl", ".gz", ".zst")
        assert all(counts["each"].values())


_LOAD = """
import json, pathlib, sys, datasets
root = pathlib.Path(sys.argv[1])
kinds = {".parquet": "parquet", ".txt": "text"}
def load(kind, files):
    return datasets.load_dataset(kind, data_files=[str(f) for f in files], split="train")
files = [f for f in sorted(root.rglob("*")) if f.is_file()]
by_kind = {}
for f in files:
    by_kind.setdefault(kinds.get(f.suffix, "json"), []).append(f)
found = {kind: len(load(kind, of)) for kind, of in by_kind.items()}
# An empty JSON file has no columns, so datasets loads it beside others only.
full = [f for f in files if f.stat().st_size and f.name[0] != "z"]
found["each"] = {f.name: len(load(kinds.get(f.suffix, "json"), [f])) for f in full}
print(json.dumps(found))
"""


def count_rows(out, *suffixes):
    removed = pq.read_table(out / "tables" / "duplicates" / "00000.parquet")["doc"].to_pylist()
    table = pq.read_table(out / "tables" / "documents" / "00000.parquet").to_pylist()
    gone = set(removed)
    return sum(row["doc"] not in gone and row["shard"].endswith(suffixes) for row in table)


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "dedup.exact.enabled": st.sampled_from(["true", "false"]),
        "dedup.exact.normalise": st.sampled_from(["none", "whitespace", "case"]),
        "dedup.near.enabled": st.sampled_from(["true", "false"]),
        "dedup.near.threshold": st.sampled_from(["0.3", "0.5", "0.8", "1.0"]),
        "dedup.near.unit": st.sampled_from(["word", "character"]),
        "dedup.near.ngram": st.integers(1, 9).map(str),
        "dedup.near.keep": st.sampled_from(["first", "longest", "newest:date", "highest:n"]),
        "dedup.passages.enabled": st.sampled_from(["true", "false"]),
        "dedup.passages.action": st.sampled_from(["cut", "report"]),
        "dedup.passages.min_bytes": st.sampled_from(["16", "17", "40", "100", "300"]),
        "dedup.passages.min_words": st.sampled_from(["0", "5", "20"]),
        "dedup.passages.boundary": st.sampled_from(["word", "character", "line"]),
        "dedup.passages.min_remaining": st.sampled_from(["0", "1", "30", "200"]),
        "pii.enabled": st.sampled_from(["true", "false"]),
    },
)


@examples(50)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), chosen=SETTINGS)
def test_every_promise_holds_for_any_corpus_and_settings(tmp_path_factory, seed, count, chosen):
    folder = tmp_path_factory.mktemp("any")
    found = rows(documents(seed, count), "any")
    third = count // 3 + 1
    write_jsonl(folder / "in" / "a.jsonl", found[:third])
    write_jsonl(folder / "in" / "b.jsonl.gz", found[third : 2 * third], ascii_only=True)
    write_parquet(folder / "in" / "c.parquet", found[2 * third :] or found[:1])
    run(folder / "in", folder / "out", *(f"{key}={value}" for key, value in chosen.items()))


@examples(25)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), size=st.sampled_from([16, 33, 100]))
def test_anchors_give_what_a_suffix_array_gives(tmp_path_factory, seed, count, size):
    folder = tmp_path_factory.mktemp("methods")
    write_jsonl(folder / "in" / "a.jsonl", rows(documents(seed, count), "a"))
    for method in ("anchors", "suffix-array"):
        given = (f"dedup.passages.method={method}", f"dedup.passages.min_bytes={size}", ALONE)
        run(folder / "in", folder / method, *given, check=False)
    assert written(folder / "anchors") == written(folder / "suffix-array")


@examples(15)
@given(
    seed=st.integers(0, 10**6), count=st.integers(1, 60), keep=st.sampled_from(["first", "longest"])
)
def test_rounds_keep_what_datasketch_keeps(tmp_path_factory, seed, count, keep):
    """With bands so many that neither method misses a pair that is at 0.7 (4e-9)."""
    folder = tmp_path_factory.mktemp("methods")
    write_jsonl(folder / "in" / "a.jsonl", rows(documents(seed, count), "a"))
    certain = ("dedup.near.threshold=0.7", "dedup.near.max_miss=0.00000001", ALONE)
    for method in ("rounds", "datasketch"):
        given = (f"dedup.near.method={method}", f"dedup.near.keep={keep}", *certain)
        run(folder / "in", folder / method, *given, check=method == "datasketch")
    assert written(folder / "rounds") == written(folder / "datasketch")


def test_canonically_equal_documents_are_copies(tmp_path):
    """One text composed, decomposed and mixed, and a near copy of it in the other form."""
    sentence = "L’été, à la fête du village, nous avons mangé des crêpes très sucrées près d’ici. "
    text = "".join(f"{n}. {sentence}" for n in range(9))
    other = unicodedata.normalize("NFD", text)
    near = unicodedata.normalize("NFD", text + "Et voilà la différence.")
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": t} for t in (text, other, near)])
    given = ("pii.enabled=false", "dedup.passages.enabled=false")
    report = run(tmp_path / "in", tmp_path / "out", *given)
    assert (report.total.exact.documents, report.total.near.documents) == (1, 1)
    run(tmp_path / "in", tmp_path / "plain", *given, "input.normalization=none")
    assert texts_of(tmp_path / "plain" / "data" / "a.jsonl") == [text, other]


@pytest.mark.parametrize("method", ["anchors", "suffix-array"])
def test_passages_are_found_in_every_spelling(tmp_path, method):
    """In three forms, over a chain of witnesses; what is left of documents stays as it was."""
    passage = "Où est passé l’été où nous mangions des crêpes très sucrées & bien dorées, ﬁn août"
    spelled = {form: unicodedata.normalize(form, passage) for form in ("NFC", "NFD", "NFKC")}
    spelled |= {"html": html.escape(passage), "soft": passage.replace("s", "s\u00ad")}
    found = [f"é{name} {text} {name}é" for name, text in spelled.items()]
    found += [f"{spelled['NFD']} {spelled['html']}", spelled["soft"]]
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": text} for text in found])
    given = ("pii.enabled=false", "dedup.near.enabled=false", "dedup.passages.min_bytes=40")
    every = ("normalization=nfkc", "unescape_html=true", "drop_ignorable=true")
    given += tuple(f"input.{one}" for one in every)
    given += (f"dedup.passages.method={method}", "dedup.passages.boundary=word")
    report = run(tmp_path / "in", tmp_path / "out", *given)
    assert report.total.remainder.documents == 2
    released = texts_of(tmp_path / "out" / "data" / "a.jsonl")
    assert released[0] == found[0]
    names = list(spelled)[1:]
    assert released[1:] == [f"é{name}\n{name}é" for name in names]
    assert verify(str(tmp_path / "out")).ok


@pytest.mark.parametrize("action", ["surrogate", "remove"])
def test_personal_data_in_decomposed_text(tmp_path, action):
    """Found as in composed text, with one fingerprint; all else stays byte for byte."""
    pytest.importorskip("presidio_analyzer")
    text = "À bientôt, écrivez à rené.dupré@acme.com ou à jane.roe@acme.com, cordialement, Zoë."
    other = unicodedata.normalize("NFD", text)
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": text}, {"text": other}])
    run(
        tmp_path / "in",
        tmp_path / "out",
        "dedup.exact.enabled=false",
        "dedup.near.enabled=false",
        "dedup.passages.enabled=false",
        f'pii.actions={{"*"="{action}"}}',
    )
    released = texts_of(tmp_path / "out" / "data" / "a.jsonl")
    assert unicodedata.normalize("NFC", released[1]) == released[0]
    assert released[1].startswith(unicodedata.normalize("NFD", "À bientôt, écrivez à "))
    paths = files_below(tmp_path / "out" / "tables" / "findings")
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    found = {0: set(), 1: set()}
    for row in rows:
        found[row["doc"]].add((row["type"], row["fingerprint"]))
    assert found[0] == found[1] != set()
