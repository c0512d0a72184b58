"""What `unrote show` says of each fate a document can meet."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from unrote.corpus.errors import InputChanged, InputError, StorageError, UsageError
from unrote.corpus.pinning import pin
from unrote.corpus.schema import PUBLISHED, SCORES
from unrote.corpus.tables import write_table
from unrote.pipelines.commits import TableFile
from unrote.pipelines.manifest import write_manifest
from unrote.pipelines.show import show

COPIED = "This is the passage that is found again and again. "
LONG = " ".join(f"word{i}" for i in range(100))
A, B = 0, 1 << 36

TEXTS: dict[int, str] = {
    A: f"At first: {COPIED}Then [red]more[/red].",
    A + 1: f"Evil \x1b[31m\u202e here: {COPIED}The end\n.",
    A + 2: f"Third. {COPIED}Done.",
    A + 3: f"{LONG} first ending",
    A + 4: f"{LONG} second ending \x1b]0;title\x07",
    A + 5: COPIED,
    A + 6: f"{LONG}  first\nending",
}


def copied(doc: int, witness: int) -> dict[str, int]:
    start = TEXTS[doc].index(COPIED)
    first = TEXTS[witness].index(COPIED)
    return {
        "doc": doc,
        "start": start,
        "end": start + len(COPIED),
        "witness": witness,
        "witness_start": first,
        "witness_end": first + len(COPIED),
        "occurrences": 4,
    }


def scored(doc: int, start: int, end: int, risk: float, **values: object) -> dict[str, Any]:
    """A row of SCORES. What the model says is left out."""
    row: dict[str, Any] = dict.fromkeys(SCORES.schema.names)
    return row | {
        "doc": doc, "start": start, "end": end, "prefix_tokens": 8, "suffix_tokens": 8,
        "scored_by": "text", "sampled": False, "copies_input": 20, "copies": 1, "risk": risk,
        "risk_low": risk / 50, "risk_high": (1 + risk) / 2, "memorized": risk,
        "category": "recollect",
        "action": "keep",
    } | values  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """OUT of a run over two shards, made by hand; the second has a rejected row."""
    source = tmp_path / "in"
    source.mkdir()
    lines = [json.dumps({"id": f"id{doc}", "text": text}) for doc, text in TEXTS.items()]
    (source / "a.jsonl").write_text("\n".join(lines))
    (source / "b.jsonl").write_text(
        '{"id": "2", "text": "short"}\nno JSON\n{"id": "id0", "text": "x"}'
    )
    corpus = pin([str(source)])
    texts = TEXTS | {B: "short", B + 2: "x"}
    ids = {doc: f"id{doc}" for doc in TEXTS} | {B: "2", B + 2: "id0"}
    documents = [
        {"doc": doc, "id": ids[doc], "shard": "ab"[doc >> 36] + ".jsonl", "row": doc & 0xFF,
         "source": "in", "bytes": len(text.encode()), "words": 0}
        for doc, text in texts.items()
    ]  # fmt: skip
    tables: dict[str, list[dict[str, Any]]] = {
        "documents": documents,
        "duplicates": [
            {"doc": A + 4, "reason": "near", "twin": A + 3, "similarity": 0.95},
            {"doc": A + 5, "reason": "remainder", "twin": None, "similarity": None},
            {"doc": A + 6, "reason": "exact", "twin": A + 3, "similarity": 1.0},
        ],
        # A + 2 leads over A + 1, which was cut as well, to A.
        "spans": [copied(A + 1, A), copied(A + 2, A + 1), copied(A + 5, A)],
        "uncut": [],
        "values": [],
        "findings": [],
        "scores": [scored(A, 0, 60, 0.25), scored(A, 60, 120, 0.75, copies=12)],
        "entities": [],
        "masks": [],
        "rejects": [{"doc": B + 1, "shard": "b.jsonl", "row": 1, "reason": "not JSON"}],
    }
    out, files = tmp_path / "out", {}
    for table in PUBLISHED:
        rows = pa.Table.from_pylist(tables.get(table.name, []), table.schema)
        path = out / "tables" / table.name / "00000.parquet"
        files[table.name] = [vars(TableFile(0, *write_table(path, table.schema, rows)))]
    manifest = {
        "format": 1,
        "settings": {"input": {"text": "text"}, "dedup": {"passages": {"action": "cut"}}},
        "input": corpus.to_json(),
        "phases": [{"rows": {table.name: 0 for table in PUBLISHED}}],
        "tables": files,
    }
    write_manifest(out, manifest)
    return out


def replace_table(out: Path, name: str, rows: pa.Table) -> None:
    """Another table of the run, that its manifest knows of."""
    manifest = json.loads((out / "manifest.json").read_text())
    file = TableFile(0, *write_table(out / "tables" / name / "00000.parquet", rows.schema, rows))
    manifest["tables"][name] = [vars(file)]
    write_manifest(out, manifest)


def shown(out: Path, doc: str, width: int = 100) -> str:
    console = Console(width=width, highlight=False, markup=False, color_system=None)
    with console.capture() as capture:
        console.print(show(str(out), doc, width=width))
    return capture.get()


def flowed(text: str) -> str:
    """Without the breaks that the terminal's width makes."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", ["a.jsonl#4", "id4", "4"])
def test_near_duplicate_beside_its_twin(run: Path, name: str) -> None:
    said = flowed(shown(run, name))
    assert said.startswith("a.jsonl#4 id id4, source in, ")
    assert "Removed: a near-duplicate of a.jsonl#3 (id id3), similarity 0.9500." in said
    assert "[-second-] {+first+}" in said
    assert "84 equal words" in said
    assert "word0" in said
    assert "word50" not in said


def test_exact_copy_differs_in_nothing(run: Path) -> None:
    said = flowed(shown(run, "id6"))
    assert "Removed: an exact copy of a.jsonl#3 (id id3), similarity 1.0000." in said
    assert "Word for word the same: word0 " in said
    assert "[-" not in said
    assert said.endswith("first ending")


def test_passage_beside_its_witness(run: Path) -> None:
    said = flowed(shown(run, "id1", width=300))
    assert "Kept." in said
    assert "1 passage cut here" in said
    assert said.count(COPIED.strip()) == 2
    assert "The end⏎." in said
    assert "stays in a.jsonl#0 at 10" in said


def test_markup_in_a_text_is_text(run: Path) -> None:
    assert "Then [red]more[/red]." in flowed(shown(run, "id1", width=300))


def test_witness_is_followed_to_what_was_kept(run: Path) -> None:
    said = flowed(shown(run, "id2", width=300))
    start = TEXTS[A + 1].index(COPIED)
    assert f"copied from a.jsonl#1 at {start}; stays in a.jsonl#0 at 10" in said
    assert "At first: " in said


def test_remainder_shows_its_passages(run: Path) -> None:
    said = flowed(shown(run, "id5"))
    assert "Removed: too little of it is left after its passages were cut." in said
    assert "1 passage cut here" in said


def test_passages_only_reported(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["settings"]["dedup"]["passages"]["action"] = "report"
    write_manifest(run, manifest)
    said = flowed(shown(run, "id2"))
    assert "1 passage found (reported, not cut) here" in said
    assert f"stays in a.jsonl#1 at {TEXTS[A + 1].index(COPIED)}" in said


def test_kept_document_names_whom_it_replaces(run: Path) -> None:
    said = flowed(shown(run, "id3"))
    assert "Kept. 2 documents removed for this one" in said
    assert "a.jsonl#4 (id id4) near 0.9500" in said
    assert "a.jsonl#6 (id id6) exact 1.0000" in said


def test_witness_names_what_was_cut_for_it(run: Path) -> None:
    said = flowed(shown(run, "a.jsonl#0"))
    assert "2 passages cut elsewhere, as copied here" in said
    assert "10 a.jsonl#5 0 to 51" in said


def test_kept_document_without_relations(run: Path) -> None:
    assert flowed(shown(run, "b.jsonl#0")) == "b.jsonl#0 id 2, source in, 5 bytes Kept."


def test_rejected_row(run: Path) -> None:
    assert flowed(shown(run, "b.jsonl#1")) == "b.jsonl#1 Rejected: not JSON."


@pytest.mark.parametrize("name", ["id1", "id4"])
def test_controls_do_not_reach_the_terminal(run: Path, name: str) -> None:
    said = shown(run, name, width=300)
    assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert "\\x1b" in said


@pytest.mark.parametrize(
    "name", ["nobody", "a.jsonl#7", "c.jsonl#0", "99", "-1", "#", "9" * 30, str(9 << 36), "²"]
)
def test_unknown_document(run: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"no document .*SHARD#ROW, for example a\.jsonl#0"):
        show(str(run), name)


def test_ambiguous_names(run: Path) -> None:
    with pytest.raises(UsageError, match=r"names 2 documents: a\.jsonl#0, b\.jsonl#2"):
        show(str(run), "id0")
    with pytest.raises(UsageError, match=r"names 2 documents: a\.jsonl#2, b\.jsonl#0"):
        show(str(run), "2")


def test_long_lists_are_cut(run: Path) -> None:
    path = run / "tables/duplicates/00000.parquet"
    rows = [
        {"doc": A + 4 + i, "reason": "near", "twin": A + 3, "similarity": 0.9} for i in range(30)
    ]
    replace_table(run, "duplicates", pa.Table.from_pylist(rows, pq.read_schema(path)))
    said = flowed(shown(run, "id3"))
    assert "30 documents removed for this one" in said
    assert "… and 10 more" in said


def test_broken_runs(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        show(str(tmp_path), "id0")
    (tmp_path / "in/a.jsonl").write_text("{}")
    with pytest.raises(InputChanged):
        show(str(run), "id4")
    (run / "tables/spans/00000.parquet").write_bytes(b"no Parquet")
    with pytest.raises(StorageError, match="unrote verify"):
        show(str(run), "id1")


def test_the_riskiest_sequences(run: Path) -> None:
    said = flowed(shown(run, "a.jsonl#0"))
    assert "Memorization: the riskiest of 2 sequences" in said
    first, second = said.index("60 to 120, risk 75.0 %"), said.index("0 to 60, risk 25.0 %")
    assert first < second
    for why in (
        "copies: 12 released, 20 in the input",
        "copies: 1 released, 20 in the input",
        "recollect; 0.500 % to 62.5 %",
        "scored by its text; copies are estimated",
    ):
        assert why in said


def test_a_document_without_scores_has_no_such_list(run: Path) -> None:
    assert "riskiest" not in shown(run, "a.jsonl#3")
