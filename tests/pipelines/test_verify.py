"""A small right run is made by hand; then each promise is broken on purpose."""

import gzip
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from unrote.corpus.errors import OutputError, RunError
from unrote.pipelines.verify import TABLES, Verdict, print_verdict, verify
from unrote.pipelines.verify.readers import _elements, _group_rows, _lines, _pieces_of, cell_of
from unrote.pipelines.verify.records import Finding
from unrote.pipelines.verify.released import _marks, _value_spans
from unrote.pipelines.verify.tokens import lower, words_of

PASSAGE = "Wer reitet so spät durch Nacht und Wind? Es ist der Vater mit seinem Kind. " * 2
REFRAIN = "Half a league, half a league, half a league onward, all in the valley of Death. "
WORDS = " ".join(f"word{i}" for i in range(40))

A, B, C, D, E = (number << 36 for number in range(5))


def line(**members: object) -> str:
    return json.dumps(members)


TEXTS: dict[int, str] = {
    A: f"Erlkönig.\n{PASSAGE}The end.",
    A + 2: f"  Erlkönig. {PASSAGE}\tThe end.",
    A + 3: f"As Goethe says: {PASSAGE}So far \U0001f600 he.",
    B: WORDS + " ends",
    B + 1: WORDS + " stops",
    B + 2: PASSAGE,
    C: f"First {REFRAIN}then {REFRAIN}and no more.",
    C + 1: "Nobody else says this.",
    D: f"Tennyson: {REFRAIN}",
    E: "Nobody else  says this.",
}

START = TEXTS[A].index(PASSAGE)
DUPLICATES = [
    {"doc": A + 2, "reason": "exact", "twin": A, "similarity": 1.0},
    {"doc": B + 1, "reason": "near", "twin": B, "similarity": 36 / 38},
    {"doc": B + 2, "reason": "remainder", "twin": None, "similarity": None},
    {"doc": E, "reason": "exact", "twin": C + 1, "similarity": 1.0},
]


def span(doc: int, text: str, witness: int, start: int, first: int) -> dict[str, int]:
    return {
        "doc": doc,
        "start": start,
        "end": start + len(text),
        "witness": witness,
        "witness_start": first,
        "witness_end": first + len(text),
        "occurrences": 2,
    }


SPANS = [
    span(A + 3, PASSAGE, A, TEXTS[A + 3].index(PASSAGE), START),
    # Two rows that overlap; the second leads over A + 3 to A.
    span(B + 2, PASSAGE[:90], A, 0, START),
    span(B + 2, PASSAGE[60:], A + 3, 60, TEXTS[A + 3].index(PASSAGE) + 60),
    span(C, REFRAIN, C, TEXTS[C].rindex(REFRAIN), TEXTS[C].index(REFRAIN)),
    span(D, REFRAIN, C, TEXTS[D].index(REFRAIN), TEXTS[C].rindex(REFRAIN)),
]
UNCUT = [span(C + 1, "says", A + 3, TEXTS[C + 1].index("says"), 10) | {"bytes": 4}]
REJECTS = [
    {"doc": A + 1, "shard": "a.jsonl", "row": 1, "reason": "not JSON"},
    {"doc": C + 2, "shard": "c.parquet", "row": 2, "reason": "no text"},
]
IDS = {A: "a0", A + 2: "7", A + 3: "1e5", B + 1: "b1", C: "10", C + 1: "11"}
IDS |= {D: "d.txt", E: "e.txt"}


def a_line(doc: int, text: str, before: str = "an earlier text") -> str:
    """Rows of a.jsonl are written in as many ways as there are rows."""
    value = json.dumps(text, ensure_ascii=doc == A + 3)
    return {
        A: f'{{"id":"a0","text" : {value} ,"more":{{"text":"inner, \\"}}"}}}}',
        A + 2: f'{{"text":{value},"id":7}}\r',
        A + 3: f' {{ "text": {json.dumps(before)}, "n":1.50, "text":{value}, "id":1e5, '
        f'"l":["text",":"]}}',
    }[doc]


class Run:
    """Input and OUT on disk, with the means to change both and to list the change."""

    def __init__(self, folder: Path) -> None:
        self.input, self.out = folder / "in", folder / "out"
        self.input.mkdir()
        self.settings: dict[str, Any] = {
            "input": {
                "text": "text",
                "id": "id",
                "source": "",
                "normalization": "nfc",
                "drop_ignorable": False,
                "unescape_html": False,
            },
            "dedup": {
                "exact": {"normalise": "whitespace"},
                "near": {
                    "enabled": True,
                    "threshold": 0.8,
                    "max_miss": 0.05,
                    "unit": "word",
                    "ngram": 5,
                },
                "passages": {
                    "enabled": True,
                    "action": "cut",
                    "cut_values": False,
                    "min_bytes": 70,
                    "min_remaining": 0,
                },
            },
            "pii": {"enabled": False, "columns": []},
            "memorization": {
                "enabled": False,
                "threshold": 0.5,
                "action": "report",
                "calibration": "",
                "target": {"parameters": "7B", "tokens": "1T", "epochs": 1.0},
            },
            "contamination": {"sets": [], "action": "report"},
            "output": {"data": True, "internal_tables": False},
        }
        self.manifest: dict[str, Any] = {
            "format": 1,
            "job": "clean",
            "settings": self.settings,
            "input": {"shards": [], "slices": []},
            "tables": {name: [] for name in TABLES},
            "data": [],
        }
        self.report: dict[str, Any] = {"copies_of_rejected": 0}
        self.write("manifest.json", b"")
        self._write_input()
        self._write_data()
        self._write_tables()
        self.commit()

    def _write_input(self) -> None:
        a = "\n".join(
            [a_line(A, TEXTS[A]), '{"id": ', " ", a_line(A + 2, TEXTS[A + 2]),
             a_line(A + 3, TEXTS[A + 3])]
        )  # fmt: skip
        b = [
            line(text=TEXTS[B]),
            line(text=TEXTS[B + 1], id="b1"),
            line(text=TEXTS[B + 2], id=None),
        ]
        self.shard("a.jsonl", "jsonl", "", a.encode())
        self.shard("b.jsonl.gz", "jsonl", "gz", gzip.compress("\n".join(b).encode()))
        self.shard("c.parquet", "parquet", "", self.parquet([TEXTS[C], TEXTS[C + 1], None]))
        self.shard("d.txt", "txt", "", TEXTS[D].encode())
        self.shard("e.txt", "txt", "", TEXTS[E].encode())
        cuts = [{"shard": number, "start": 0, "end": 9, "row": 0} for number in range(5)]
        self.manifest["input"]["slices"] = [
            {"number": 0, "cuts": cuts[:1]},
            {"number": 1, "cuts": cuts[1:]},
        ]

    def _write_data(self) -> None:
        said = TEXTS[A + 3].replace(PASSAGE, "\n")
        a = f"{a_line(A, TEXTS[A])}\n{a_line(A + 3, said, before='')}\n"
        self.data(0, "a.jsonl", a.encode())
        self.data(1, "b.jsonl.gz", gzip.compress(f"{line(text=TEXTS[B])}\n".encode()))
        place = TEXTS[C].rindex(REFRAIN)
        refrain = TEXTS[C][:place] + "\n" + TEXTS[C][place + len(REFRAIN) :]
        self.data(2, "c.parquet", self.parquet([refrain, TEXTS[C + 1]]))
        self.data(3, "d.txt", b"Tennyson: ")

    def _write_tables(self) -> None:
        shards = [shard["name"] for shard in self.manifest["input"]["shards"]]
        documents = [
            {
                "doc": doc,
                "id": IDS.get(doc, f"{shards[doc >> 36]}#{doc & 0xFFFF}"),
                "shard": shards[doc >> 36],
                "row": doc & 0xFFFF,
                "source": "poems",
                "bytes": len(text.encode()),
                "words": len(words_of(text)),
            }
            for doc, text in TEXTS.items()
        ]
        self.table("documents", documents)
        self.table("duplicates", DUPLICATES)
        self.table("spans", SPANS)
        self.table("uncut", UNCUT)
        self.table("rejects", REJECTS)

    def parquet(self, texts: list[str | None], score: pa.DataType | None = None) -> bytes:
        scores = pa.array([float("nan"), 0.5, 1.5][: len(texts)]).cast(score or pa.float64())
        table = pa.table(
            {"id": pa.array([10, 11, 12][: len(texts)]), "text": texts, "score": scores}
        )
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()

    def write(self, name: str, content: bytes) -> dict[str, Any]:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {"bytes": len(content), "digest": xxhash.xxh3_128_hexdigest(content)}

    def shard(self, name: str, kind: str, compression: str, content: bytes) -> None:
        path = self.input / name
        path.write_bytes(content)
        shards = self.manifest["input"]["shards"]
        shards.append(
            {
                "number": len(shards),
                "name": name,
                "url": str(path),
                "format": kind,
                "compression": compression,
                "size": len(content),
                "checksum": xxhash.xxh3_128_hexdigest(content),
                "source": "poems",
            }
        )

    def data(self, shard: int, name: str, content: bytes) -> None:
        entries = [entry for entry in self.manifest["data"] if entry["shard"] != shard]
        entry = {"shard": shard, "path": f"data/{name}", **self.write(f"data/{name}", content)}
        self.manifest["data"] = sorted([*entries, entry], key=lambda entry: entry["shard"])

    def drop_data(self, shard: int) -> None:
        for entry in self.manifest["data"]:
            if entry["shard"] == shard:
                (self.out / entry["path"]).unlink()
                self.manifest["data"].remove(entry)

    def table(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write a table whole, its rows to the slices they belong to."""
        kinds = {
            "string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()
        }  # fmt: skip
        schema = pa.schema({column: kinds[kind] for column, kind in TABLES[name].items()})
        self.manifest["tables"][name] = [
            self._table_file(name, number, pa.Table.from_pylist(part, schema))
            for number, part in enumerate(
                [
                    [row for row in rows if self._slice(row) == 0],
                    [row for row in rows if self._slice(row) == 1],
                ]
            )
        ]

    def _slice(self, row: dict[str, Any]) -> int:
        return int(row["doc"] >= B if "doc" in row else row["shard"] != "a.jsonl")

    def _table_file(self, name: str, number: int, table: pa.Table) -> dict[str, Any]:
        sink = io.BytesIO()
        pq.write_table(table, sink)
        entry = self.write(f"tables/{name}/{number:05d}.parquet", sink.getvalue())
        return {"slice": number, "rows": table.num_rows, **entry}

    def rows(self, name: str) -> list[dict[str, Any]]:
        files = sorted((self.out / "tables" / name).iterdir())
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    def change(self, name: str, doc: int, **values: object) -> None:
        """Give the rows of a document in a table other values."""
        rows = self.rows(name)
        self.table(name, [row | values if row["doc"] == doc else row for row in rows])

    def commit(self) -> None:
        """Write reports, and the manifest with the digests of these and of itself."""
        self.manifest["reports"] = {
            "files": {
                "metrics.prom": self.write("metrics.prom", b"# EOF\n"),
                "report.html": self.write("report.html", b"<p>All is well.</p>"),
                "report.json": self.write("report.json", json.dumps(self.report).encode()),
            },
            "verdict": "",
        }
        said = {name: value for name, value in self.manifest.items() if name != "digest"}
        plain = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        self.manifest["digest"] = xxhash.xxh3_128_hexdigest(plain)
        self.write("manifest.json", json.dumps(self.manifest).encode())

    def verify(self) -> Verdict:
        self.commit()
        return verify(str(self.out))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def broken(verdict: Verdict) -> set[str]:
    return {check.promise for check in verdict.checks if check.failed}


def test_right_run_passes(run: Run) -> None:
    verdict = run.verify()
    assert [check.failures for check in verdict.checks if check.failed] == []
    assert verdict.ok
    checked = {check.name: check.checked for check in verdict.checks}
    looked_at = {name for name, count in checked.items() if count}
    assert looked_at == set(checked) - {"secrets", "values", "spellings", "copies", "rejects"}, (
        checked
    )  # of findings and scores, and of documents that are rejects
    assert checked["documents"] == len(TEXTS)
    assert checked["spans"] == len(SPANS)
    assert checked["chains"] == 1000


def test_progress_reaches_the_end(run: Run) -> None:
    seen: dict[str, tuple[int, int]] = {}
    verify(str(run.out), progress=lambda name, done, total: seen.update({name: (done, total)}))
    assert {"input", "rows", "twins", "spans"} <= set(seen)
    assert all(done == total for done, total in seen.values())


# One promise broken at a time.


def twin_points_to_removed(run: Run) -> None:
    run.change("duplicates", E, twin=A + 2)


def twin_is_itself(run: Run) -> None:
    run.change("duplicates", B + 1, twin=B + 1)


def twin_is_missing(run: Run) -> None:
    run.change("duplicates", B + 1, twin=None)


def twin_is_no_document(run: Run) -> None:
    run.change("duplicates", B + 1, twin=A + 1)


def similarity_altered(run: Run) -> None:
    run.change("duplicates", B + 1, similarity=36 / 38 + 1e-6)


def similarity_below_threshold(run: Run) -> None:
    run.settings["dedup"]["near"]["threshold"] = 0.95


def exact_is_not_exact(run: Run) -> None:
    run.change("duplicates", B + 1, reason="exact", similarity=1.0)


def exact_only_up_to_white_space(run: Run) -> None:
    run.settings["dedup"]["exact"]["normalise"] = "none"


@pytest.mark.parametrize(
    "change",
    [
        twin_points_to_removed,
        twin_is_itself,
        twin_is_missing,
        twin_is_no_document,
        similarity_altered,
        similarity_below_threshold,
        exact_is_not_exact,
        exact_only_up_to_white_space,
    ],
)
def test_twin(run: Run, change: Callable[[Run], None]) -> None:
    change(run)
    assert "twin" in broken(run.verify())


def offset_shifted(run: Run) -> None:
    run.change("spans", A + 3, witness_start=START + 1, witness_end=START + 1 + len(PASSAGE))


def end_shifted(run: Run) -> None:
    run.change("spans", A + 3, witness_end=START + len(PASSAGE) + 1)


def range_shifted(run: Run) -> None:
    start = TEXTS[A + 3].index(PASSAGE)
    run.change("spans", A + 3, start=start + 1, end=start + 1 + len(PASSAGE))


def witness_later(run: Run) -> None:
    run.change("spans", A + 3, witness=B + 2, witness_start=0, witness_end=len(PASSAGE))


def first_copy_removed(run: Run) -> None:
    """The witness's own text is removed as well, with the copy as its witness."""
    own = span(A, PASSAGE, A + 3, START, TEXTS[A + 3].index(PASSAGE))
    run.table("spans", [own, *SPANS])


def witness_overlaps(run: Run) -> None:
    run.settings["dedup"]["passages"]["min_bytes"] = 100


def witness_was_removed(run: Run) -> None:
    first = TEXTS[A + 2].index(PASSAGE)
    last = first + len(PASSAGE)
    run.change("spans", A + 3, witness=A + 2, witness_start=first, witness_end=last)


def uncut_is_not_there(run: Run) -> None:
    run.change("uncut", C + 1, start=3, end=7)


def uncut_is_cut(run: Run) -> None:
    run.table("uncut", [row | {"bytes": len(REFRAIN)} for row in SPANS[3:4]])


def uncut_has_other_bytes(run: Run) -> None:
    run.change("uncut", C + 1, bytes=5)


def range_outside(run: Run) -> None:
    run.change("spans", D, end=len(TEXTS[D]) + 1)


def range_empty(run: Run) -> None:
    run.change("spans", D, start=20, end=20)


def occurs_once(run: Run) -> None:
    run.change("spans", D, occurrences=1)


def remainder_has_text_left(run: Run) -> None:
    run.table("spans", [row for row in SPANS if row["doc"] != B + 2 or row["start"]])


def witness_went_as_remainder(run: Run) -> None:
    """D's refrain is witnessed in C, and all of C goes, first refrain and all."""
    row = {"doc": C, "reason": "remainder", "twin": None, "similarity": None}
    run.table("duplicates", sorted([*DUPLICATES, row], key=lambda row: row["doc"]))


def bare_document_kept(run: Run) -> None:
    run.table("duplicates", [row for row in DUPLICATES if row["doc"] != B + 2])


def too_little_left(run: Run) -> None:
    """Of D eight characters and a blank are left, and it is nobody's witness."""
    run.settings["dedup"]["passages"]["min_remaining"] = 11


@pytest.mark.parametrize(
    "change",
    [
        offset_shifted,
        end_shifted,
        range_shifted,
        witness_later,
        first_copy_removed,
        witness_overlaps,
        witness_was_removed,
        uncut_is_not_there,
        uncut_is_cut,
        uncut_has_other_bytes,
        range_outside,
        range_empty,
        occurs_once,
        remainder_has_text_left,
        witness_went_as_remainder,
        bare_document_kept,
        too_little_left,
    ],
)
def test_witness(run: Run, change: Callable[[Run], None]) -> None:
    change(run)
    assert "witness" in broken(run.verify())


def kept_document_dropped(run: Run) -> None:
    """The twin of B + 1 is missing from the output."""
    run.data(1, "b.jsonl.gz", gzip.compress(b""))


def row_lost(run: Run) -> None:
    content = (run.out / "data/a.jsonl").read_bytes()
    run.data(0, "a.jsonl", content[: content.index(b"\n") + 1])


def row_added(run: Run) -> None:
    content = (run.out / "data/a.jsonl").read_bytes()
    run.data(0, "a.jsonl", content + a_line(A + 2, TEXTS[A + 2]).encode())


def rows_swapped(run: Run) -> None:
    lines = (run.out / "data/a.jsonl").read_bytes().splitlines(keepends=True)
    run.data(0, "a.jsonl", b"".join(reversed(lines)))


def line_changed(run: Run) -> None:
    content = (run.out / "data/a.jsonl").read_bytes()
    run.data(0, "a.jsonl", content.replace(b'"text" : ', b'"text":  '))


def cut_line_changed(run: Run) -> None:
    content = (run.out / "data/a.jsonl").read_bytes()
    run.data(0, "a.jsonl", content.replace(b"1.50", b"1.5"))


def earlier_text_stays(run: Run) -> None:
    """What was cut may stand in an earlier member of the same name."""
    content = (run.out / "data/a.jsonl").read_bytes()
    run.data(0, "a.jsonl", content.replace(b'"text": ""', b'"text": "an earlier text"'))


def cut_text_changed(run: Run) -> None:
    content = (run.out / "data/a.jsonl").read_bytes()
    assert b"says: \\nSo" in content
    run.data(0, "a.jsonl", content.replace(b"says: \\nSo", b"says:  So"))


def passage_not_cut(run: Run) -> None:
    run.data(3, "d.txt", TEXTS[D].encode())


def passage_cut_though_only_reported(run: Run) -> None:
    run.settings["dedup"]["passages"]["action"] = "report"


def digest_differs(run: Run) -> None:
    (run.out / "data/d.txt").write_bytes(b"Tennyson; ")


def data_missing(run: Run) -> None:
    run.drop_data(3)


def data_damaged(run: Run) -> None:
    content = (run.out / "data/b.jsonl.gz").read_bytes()
    run.data(1, "b.jsonl.gz", content[:-9])


def parquet_damaged(run: Run) -> None:
    run.data(2, "c.parquet", b"PAR1 and nothing else")


def parquet_type_changed(run: Run) -> None:
    texts = pq.read_table(run.out / "data/c.parquet")["text"].to_pylist()
    run.data(2, "c.parquet", run.parquet(texts, pa.float32()))


def parquet_cell_changed(run: Run) -> None:
    table = pq.read_table(run.out / "data/c.parquet")
    table = table.set_column(0, "id", pa.array([10, 12]))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    run.data(2, "c.parquet", sink.getvalue())


def removed_text_file_written(run: Run) -> None:
    run.data(4, "e.txt", TEXTS[E].encode())


def table_byte_flipped(run: Run) -> None:
    path = run.out / "tables/spans/00000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def table_cut_short(run: Run) -> None:
    path = run.out / "tables/duplicates/00001.parquet"
    content = path.read_bytes()[:-50]
    run.manifest["tables"]["duplicates"][1] |= run.write("tables/duplicates/00001.parquet", content)


def table_missing(run: Run) -> None:
    (run.out / "tables/documents/00001.parquet").unlink()


def table_unlisted(run: Run) -> None:
    del run.manifest["tables"]["rejects"]


def table_unsorted(run: Run) -> None:
    run.table("spans", [*SPANS[:3], *reversed(SPANS[3:])])


def table_in_another_slice(run: Run) -> None:
    first, second = run.manifest["tables"]["rejects"]
    first["slice"], second["slice"] = 1, 0
    folder = run.out / "tables/rejects"
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    for number, content in enumerate(reversed(contents)):
        (folder / f"{number:05d}.parquet").write_bytes(content)
    run.manifest["tables"]["rejects"] = [second, first]


def table_with_nulls(run: Run) -> None:
    run.change("documents", C, bytes=None)


def table_without_a_column(run: Run) -> None:
    path = run.out / "tables/documents/00001.parquet"
    entry = run.manifest["tables"]["documents"][1]
    entry |= run._table_file("documents", 1, pq.read_table(path).drop_columns(["words"]))


def row_count_wrong(run: Run) -> None:
    run.manifest["tables"]["documents"][0]["rows"] += 1


def document_missing(run: Run) -> None:
    run.table("documents", [row for row in run.rows("documents") if row["doc"] != C + 1])


def document_invented(run: Run) -> None:
    rows = run.rows("documents")
    run.table("documents", [*rows, rows[-1] | {"doc": E + 1, "row": 1}])


def document_also_rejected(run: Run) -> None:
    run.table("rejects", [*REJECTS, {"doc": D, "shard": "d.txt", "row": 0, "reason": "why not"}])


def reject_invented(run: Run) -> None:
    run.table(
        "rejects", [*REJECTS, {"doc": E + 1, "shard": "e.txt", "row": 1, "reason": "why not"}]
    )


def bytes_wrong(run: Run) -> None:
    run.change("documents", A, bytes=len(TEXTS[A]))


def id_wrong(run: Run) -> None:
    run.change("documents", A + 3, id="100000.0")


def derived_id_wrong(run: Run) -> None:
    run.change("documents", B, id="b0")


def source_wrong(run: Run) -> None:
    run.change("documents", B, source="prose")


def removed_twice(run: Run) -> None:
    run.table("duplicates", [*DUPLICATES, DUPLICATES[-1]])


def removed_for_no_reason(run: Run) -> None:
    run.change("duplicates", B + 2, reason="boring")


def removed_document_unknown(run: Run) -> None:
    row = {"doc": E + 5, "reason": "exact", "twin": A, "similarity": 1.0}
    run.table("duplicates", [*DUPLICATES, row])


def input_changed(run: Run) -> None:
    path = run.input / "a.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Goethe", b"Schill"))


def input_damaged(run: Run) -> None:
    path = run.input / "b.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])


def input_not_parquet(run: Run) -> None:
    (run.input / "c.parquet").write_bytes(b"no Parquet")


def input_missing(run: Run) -> None:
    (run.input / "d.txt").unlink()


@pytest.mark.parametrize(
    "change",
    [
        kept_document_dropped,
        row_lost,
        row_added,
        rows_swapped,
        line_changed,
        cut_line_changed,
        earlier_text_stays,
        cut_text_changed,
        passage_not_cut,
        passage_cut_though_only_reported,
        digest_differs,
        data_missing,
        data_damaged,
        parquet_damaged,
        parquet_type_changed,
        parquet_cell_changed,
        removed_text_file_written,
        table_byte_flipped,
        table_cut_short,
        table_missing,
        table_unlisted,
        table_unsorted,
        table_in_another_slice,
        table_with_nulls,
        table_without_a_column,
        row_count_wrong,
        document_missing,
        document_invented,
        document_also_rejected,
        reject_invented,
        bytes_wrong,
        id_wrong,
        derived_id_wrong,
        source_wrong,
        removed_twice,
        removed_for_no_reason,
        removed_document_unknown,
        input_changed,
        input_damaged,
        input_not_parquet,
        input_missing,
    ],
)
def test_accounted_for(run: Run, change: Callable[[Run], None]) -> None:
    change(run)
    verdict = run.verify()
    assert "accounted for" in broken(verdict)
    words = " ".join(failure for check in verdict.checks for failure in check.failures)
    assert not {"reitet", "league", "word1", "Nobody"} & set(words.split())


@pytest.mark.parametrize(
    "name", ["notes.txt", ".run/phases/near.json", "data/e.txt", "tables/bands/00000.parquet"]
)
def test_no_leaks(run: Run, name: str) -> None:
    run.write(name, b"anything")
    verdict = run.verify()
    assert broken(verdict) == {"no leaks"}
    assert [c.failures for c in verdict.checks if c.failed] == [
        (f"{name} does not belong into OUT",)
    ]


def test_report_action_cuts_nothing(run: Run) -> None:
    run.settings["dedup"]["passages"]["action"] = "report"
    run.table("duplicates", [row for row in DUPLICATES if row["reason"] != "remainder"])
    a = f"{a_line(A, TEXTS[A])}\n{a_line(A + 3, TEXTS[A + 3], before='')}\n"
    run.data(0, "a.jsonl", a.encode())
    b = [line(text=TEXTS[B]), line(text=TEXTS[B + 2], id=None)]
    run.data(1, "b.jsonl.gz", gzip.compress("\n".join(b).encode()))
    run.data(2, "c.parquet", run.parquet([TEXTS[C], TEXTS[C + 1]]))
    run.data(3, "d.txt", TEXTS[D].encode())
    assert run.verify().ok


def test_run_without_data(run: Run) -> None:
    run.settings["output"]["data"] = False
    assert broken(run.verify()) == {"accounted for", "no leaks"}
    for shard in range(4):
        run.drop_data(shard)
    assert run.verify().ok


def shorter(row: dict[str, int]) -> dict[str, int]:
    return row | {name: row[name] - 1 for name in ("end", "witness_end")}


def test_bare_document_stays_as_a_witness(run: Run) -> None:
    """Of B + 2 only a blank is left. That is right if the blank is the witness of another's."""
    spans = [shorter(row) if row == SPANS[2] else row for row in SPANS]
    run.table("spans", spans)
    bare_document_kept(run)
    assert remainders(run) == 1
    last = len(PASSAGE) - 1
    run.table("spans", [*spans[:3], span(C, " ", B + 2, TEXTS[C].index(" "), last), *spans[3:]])
    assert remainders(run) == 0


def remainders(run: Run) -> int:
    return next(check.failed for check in run.verify().checks if check.name == "remainders")


def test_failures_are_counted_beyond_those_shown(run: Run) -> None:
    for name in range(30):
        run.write(f"extra/{name}", b"")
    check = next(c for c in run.verify().checks if c.name == "files")
    assert (check.failed, len(check.failures)) == (30, 20)


def test_verdict_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    print_verdict(run.verify())
    assert capsys.readouterr().out.endswith("Every promise holds.\n")
    run.write("odd\x1b[2J", b"")
    print_verdict(run.verify())
    printed = capsys.readouterr().out
    assert "odd\\x1b[2J does not belong into OUT" in printed
    assert printed.endswith("At least one promise is broken.\n")


def test_unfinished_run_is_refused(run: Run) -> None:
    (run.out / "manifest.json").unlink()
    with pytest.raises(RunError, match="unfinished"):
        verify(str(run.out))


def test_other_folders_are_refused(run: Run) -> None:
    with pytest.raises(OutputError, match="not a folder"):
        verify(str(run.out / "nowhere"))
    run.write("manifest.json", b'{"format": 1}')
    with pytest.raises(OutputError, match="format 1"):
        verify(str(run.out))
    del run.manifest["tables"]["spans"][0]["digest"]
    with pytest.raises(OutputError, match="format 1"):
        run.verify()
    run.write("manifest.json", b"no JSON")
    with pytest.raises(OutputError, match="cannot be read"):
        verify(str(run.out))


def test_damaged_input_ends_in_a_reject(run: Run) -> None:
    """What can be read of a damaged shard counts, and the row after it is rejected."""
    torn = (run.input / "b.jsonl.gz").read_bytes()[:-8]
    (run.input / "b.jsonl.gz").write_bytes(torn)
    run.manifest["input"]["shards"][1] |= {
        "size": len(torn),
        "checksum": xxhash.xxh3_128_hexdigest(torn),
    }
    lost = B + 2
    run.table("documents", [row for row in run.rows("documents") if row["doc"] != lost])
    run.table("duplicates", [row for row in DUPLICATES if row["doc"] != lost])
    run.table("spans", [row for row in SPANS if row["doc"] != lost])
    assert "accounted for" in broken(run.verify())
    reject = {"doc": lost, "shard": "b.jsonl.gz", "row": 2, "reason": "compressed data ends early"}
    run.table("rejects", [REJECTS[0], reject, REJECTS[1]])
    assert run.verify().ok


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_compressed_files_may_have_several_parts(compress: Callable[[bytes], bytes]) -> None:
    kind = "gz" if compress is gzip.compress else "zst"
    packed = compress(b"one ") + compress(b"") + compress(b"two")
    assert b"".join(_pieces_of(io.BytesIO(packed), kind)) == b"one two"
    with pytest.raises(EOFError):
        list(_pieces_of(io.BytesIO(packed[:-1]), kind))


def test_lines_across_pieces() -> None:
    pieces = [b"\xef\xbb\xbf \n\n{", b"}", b" \r\n\t\r\n", b"x\ny", b"z"]
    assert list(_lines(iter(pieces))) == [b"{} \r", b"x", b"yz"]
    assert list(_lines(iter([b"\xef\xbb\xbf{}\n"]))) == [b"{}"]


@pytest.mark.parametrize(
    ("array", "elements"),
    [
        (b"\xef\xbb\xbf [ ]\n", []),
        (b'[{"a": "[\\"]},{"} , {"b": [[],{}]}\n]\n', [b'{"a": "[\\"]},{"}', b'{"b": [[],{}]}']),
        (b"[1, 2,\n]", [b"1", b"2", b"]"]),
        (b"[,1,,2]", [b",1", b",2"]),
        (b"[1,2", [b"1", None]),
        (b"[1]\n[2]", [b"1", None]),
        (b"[1} , 2]", [b"1}", b"2"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_elements_across_pieces(array: bytes, elements: list[bytes | None], size: int) -> None:
    pieces = (array[at : at + size] for at in range(0, len(array), size))
    assert list(_elements(pieces)) == elements


@pytest.mark.parametrize(
    "row",
    [
        b'{"text":"VALUE"}',
        b' { "a":[{"text":1}], "text" :  "VALUE" , "b":"\\",\t"c":{"text":"x"} } ',
        b'{"te\\u0078t":"VALUE","text2":"no"}',
        b'{"text":"first","text":"VALUE"}',
        b'{"b":"\\"text\\":","text":"VALUE"}',
    ],
)
def test_place_of_the_text_value(row: bytes) -> None:
    *_, place = _value_spans(row, "text")
    assert row[slice(*place)] == b'"VALUE"'
    assert _value_spans(row, "none") == []


def test_parquet_cells() -> None:
    row = pa.record_batch(
        {
            "name": pa.array(["a"]).dictionary_encode(),
            "number": [7],
            "null": pa.nulls(1, pa.string()),
            "bytes": [b"a"],
            "list": [["a"]],
        }
    )
    cells = [cell_of(row, name) for name in [*row.schema.names, "none"]]
    assert cells == ["a", "7", None, None, None, None]


def test_damaged_row_group_ends_in_unreadable_rows() -> None:
    sink = io.BytesIO()
    table = pa.table({"text": [f"text {i}" for i in range(20)]})
    pq.write_table(table, sink, row_group_size=10, compression="zstd", use_dictionary=False)
    content = bytearray(sink.getvalue())
    first = pq.ParquetFile(sink).metadata.row_group(0).column(0)
    content[first.data_page_offset : first.data_page_offset + 60] = bytes(60)
    file = pq.ParquetFile(io.BytesIO(bytes(content)))
    assert list(_group_rows(file, 0)) == [None] * 10
    assert len([row for row in _group_rows(file, 1) if row is not None]) == 10


def test_words_by_unicode_category() -> None:
    assert words_of("Don’t_stop, e\u0301tude ½!  ٣ Ⅷ ⓐ") == [
        "don", "t_stop", "e\u0301tude", "½", "٣", "ⅷ",
    ]  # fmt: skip


def test_lower_case_is_one_to_one() -> None:
    text = "ΟΔΟΣ İSTANBUL ẞ"
    assert lower(text) == "οδοσ İstanbul ß"
    assert len(lower(text)) == len(text)


def change(start: int, end: int) -> Finding:
    return Finding(A, 0, start, end, "US_SSN", "mask", "0" * 32, None)


def chunks(flags: list[bool]) -> list[tuple[int, int]]:
    """Where a run of true begins and ends."""
    edges = [n for n, (a, b) in enumerate(pairwise([False, *flags, False])) if a != b]
    return list(zip(edges[::2], edges[1::2], strict=True))


@given(st.lists(st.booleans(), max_size=30), st.lists(st.integers(0, 3), max_size=12))
def test_marks_are_changes_and_what_these_leave_of_cuts(cut, widths):
    """Widths are of a gap and a change by turns; two changes may touch, two cuts do not."""
    places = [sum(widths[:n]) for n in range(len(widths) + 1)]
    pairs = zip(places[1::2], places[2::2], strict=False)
    changed = [change(start, end) for start, end in pairs if start < end]
    in_change = {n for finding in changed for n in range(finding.start, finding.end)}
    left = [flag and n not in in_change for n, flag in enumerate(cut)]
    expected = [(start, end, None) for start, end in chunks(left)]
    expected += [(finding.start, finding.end, finding) for finding in changed]
    assert _marks(chunks(cut), changed) == sorted(expected, key=lambda mark: mark[:2])


class Watched(list):
    """Counts how often one of its items is looked at."""

    looks = 0

    def __getitem__(self, place):
        self.looks += 1
        return super().__getitem__(place)

    def __iter__(self):
        for item in super().__iter__():
            self.looks += 1
            yield item


def test_a_document_of_many_changes_and_cuts_is_not_looked_at_anew_for_each():
    changed = Watched(change(10 * n, 10 * n + 5) for n in range(1000))
    marks = _marks([(10 * n + 4, 10 * n + 8) for n in range(1000)], changed)
    assert len(marks) == 2000
    assert changed.looks <= 10 * len(marks)
