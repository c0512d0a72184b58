"""Every format through the command line with its defaults, read back as its users read it."""

import gzip
import json
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather

from tests.command import unrote
from tests.corpus.formats.test_warc import records, wet
from tests.corpus.helpers import pack, unpack

NAN = float("nan")
ROWS = [
    {"id": "a", "text": "The harbour froze over twice in that long winter.", "score": 1.5},
    {"id": "b", "text": "Nobody had seen the ferry since the storm in March.", "score": NAN},
    {"id": "c", "text": "The harbour froze over twice in that long winter.", "score": 2.5},
    {"id": "d", "text": "Write to the mill at martha.jones@gmail.com about it.", "score": -NAN},
]
KEPT = ["a", "b", "d"]


def cleaned(corpus: Path, out: Path, *given: str) -> Path:
    """The cleaned shards of `corpus`; the run is verified."""
    done = unrote("clean", corpus, "-o", out, *given)
    assert done.status == 0, done.err
    done = unrote("verify", out)
    assert done.status == 0, done.out + done.err
    return out / "data"


def check(rows: list[dict]) -> None:
    """The rows are those of ROWS without the copy, and the address is another."""
    assert [row["id"] for row in rows] == KEPT
    assert [row["text"] for row in rows][:2] == [ROWS[0]["text"], ROWS[1]["text"]]
    assert rows[2]["text"].startswith("Write to the mill at ")
    assert "martha.jones" not in rows[2]["text"]
    assert [row["score"] == 1.5 for row in rows] == [True, False, False]


def as_lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


NAMES = [
    f"{name}{'.' * bool(kind)}{kind}"
    for name in ("train.00000.json", "train.jsonl", "train.ndjson")
    for kind in ("", "gz", "zst", "xz", "bz2")
]


def test_json_lines_under_every_name(tmp_path):
    """pandas reads NaN; `datasets` reads each name, without the NaN that its JSON refuses."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        rows = [row | {"text": f"{row['text']} Chapter {number}."} for row in ROWS]
        (folder / name).write_bytes(pack(as_lines(rows), name.rpartition(".")[2]))
    (folder / "README.md").write_text("# A card")
    (folder / "dataset_infos.json").write_text('{\n  "default": {}\n}')
    off = ("dedup.near.enabled=false", "dedup.passages.enabled=false")
    given = [part for setting in off for part in ("--set", setting)]
    done = unrote("clean", folder, "-o", tmp_path / "out", *given)
    assert done.status == 0, done.err
    assert "passed over, not read: " in done.err
    assert "README.md" in done.err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert [Path(name).name for name in manifest["passed_over"]] == [
        "README.md",
        "dataset_infos.json",
    ]
    assert unrote("verify", tmp_path / "out").status == 0
    for name in NAMES:
        path = tmp_path / "out" / "data" / name
        packed = {"gz": "gzip", "zst": "zstd"}.get(path.suffix[1:], path.suffix[1:])
        packed = packed if packed in ("gzip", "zstd", "xz", "bz2") else None
        found = pd.read_json(path, lines=True, compression=packed)
        check(
            [
                row | {"text": row["text"].partition(" Chapter")[0]}
                for row in found.to_dict("records")
            ]
        )


def test_datasets_reads_what_was_released(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.json.gz", "b.jsonl.zst", "c.jsonl.xz", "d.json"):
        rows = [{"id": f"{name}{n}", "text": f"{name} is number {n} of four."} for n in range(2)]
        (folder / name).write_bytes(pack(as_lines(rows), name.rpartition(".")[2]))
    data = cleaned(folder, tmp_path / "out")
    for name in ("a.json.gz", "b.jsonl.zst", "c.jsonl.xz", "d.json"):
        loaded = datasets.load_dataset(
            "json", data_files=str(data / name), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert loaded.column_names == ["id", "text"]


def test_json_arrays(tmp_path):
    """One object a line, pretty-printed and packed: json, pandas and `datasets` read each."""
    folder = tmp_path / "in"
    folder.mkdir()
    packing = {"a.json": "", "b.json": "", "c.jsonl.gz": "gz"}
    for name, kind in packing.items():
        rows = [row | {"text": f"{row['text']} Told by {name}."} for row in ROWS]
        content = json.dumps(rows, indent=2).encode()
        if name == "a.json":
            content = b"[\n" + as_lines(rows).strip().replace(b"\n", b",\n") + b"\n]\n"
        content = content.replace(b"NaN", b"null").replace(b"-null", b"null")
        (folder / name).write_bytes(pack(content, kind))
    out = tmp_path / "out"
    off = ("dedup.near.enabled=false", "dedup.passages.enabled=false")
    given = [part for setting in off for part in ("--set", setting)]
    assert unrote("clean", folder, "-o", out, *given).status == 0
    done = unrote("verify", out)
    assert done.status == 0, done.out
    for name, kind in packing.items():
        path = out / "data" / name
        before, after = (unpack((at / name).read_bytes(), kind) for at in (folder, out / "data"))
        check([row | {"text": row["text"].partition(" Told")[0]} for row in json.loads(after)])
        assert after[:150] == before[:150]
        frame = pd.read_json(path, compression="gzip" if kind else None)
        assert frame["id"].tolist() == KEPT
        loaded = datasets.load_dataset(
            "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert loaded["id"][:] == KEPT


def test_objects_of_several_lines(tmp_path):
    """As `jq .` writes them; json reads them one after another."""
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.json"
    rows = [row | {"score": None} for row in ROWS]
    path.write_text("".join(json.dumps(row, indent=2, ensure_ascii=False) + "\n" for row in rows))
    out = cleaned(tmp_path / "in", tmp_path / "out") / "a.json"
    parts = out.read_text().split("\n}\n")
    found = [json.loads(part + "}") for part in parts if part]
    assert [row["id"] for row in found] == KEPT
    assert "".join(json.dumps(r, indent=2, ensure_ascii=False) + "\n" for r in found) == (
        out.read_text()
    )


@pytest.mark.parametrize("name", ["notes.md", "notes.txt", "README.md"])
def test_text_and_markdown(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text("# Martha\n\nWrite to martha.jones@gmail.com.\n")
    text = (cleaned(tmp_path / "in", tmp_path / "out") / name).read_text()
    assert text.startswith("# Martha\n\nWrite to ")
    assert "martha.jones" not in text


def test_the_message_on_the_terminal(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(b'\n{"text": "a"}\n{"text": "b",}\n')
    done = unrote("clean", tmp_path / "in", "-o", tmp_path / "out")
    assert done.status == 3
    assert (
        "a.jsonl, row 1: not JSON (line 3, column 14): a comma before '}'; leave it out" in done.err
    )
    (tmp_path / "in" / "a.jsonl").write_bytes(b'{"text": "a"}\n{"body": "b"}\n{"body": "c"}\n')
    given = ("--set", "input.max_rejects=1", "--fresh")
    assert unrote("clean", tmp_path / "in", "-o", tmp_path / "out", *given).status == 0
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    (reason,) = report["rejects"]["reasons"]
    assert reason["rows"] == 2
    assert "line" not in reason["reason"]


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("b.tsv.gz", "\t")])
def test_csv(tmp_path, name, separator):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / name
    rows = [row | {"note": f'a {separator} "b"\nc'} for row in ROWS]
    pd.DataFrame(rows).to_csv(path, sep=separator, index=False)
    before = pack_free(path)
    found = cleaned(tmp_path / "in", tmp_path / "out") / name
    frame = pd.read_csv(found, sep=separator)
    check(frame.to_dict("records"))
    assert frame["note"].tolist() == [rows[0]["note"]] * 3
    after = pack_free(found)
    unedited = before.index(b"c" + separator.encode())  # the copy, which went
    assert after[:unedited] == before[:unedited]
    loaded = datasets.load_dataset(
        "csv", data_files=str(found), sep=separator, split="train", cache_dir=str(tmp_path / "c")
    )
    assert loaded["id"][:] == KEPT


def test_arrow(tmp_path):
    """What `datasets` saves is loaded by it again; a file under another name is read as it is."""
    (tmp_path / "in").mkdir()
    rows = [row | {"tags": [{"n": row["id"]}]} for row in ROWS]
    saved = datasets.Dataset.from_list(rows)
    counts = datasets.SplitInfo("train", num_bytes=1000, num_examples=len(rows))
    saved.info.splits = datasets.SplitDict({"train": counts})
    saved.info.description = "Letters"
    sets = datasets.DatasetDict({"train": saved})
    sets.save_to_disk(tmp_path / "in" / "set", num_shards={"train": 2})
    rows = [row | {"text": f"{row['text']} Elsewhere."} for row in ROWS]
    feather.write_feather(pa.Table.from_pylist(rows), tmp_path / "in" / "b.json")
    off = ("--set", "dedup.near.enabled=false", "--set", "dedup.passages.enabled=false")
    data = cleaned(tmp_path / "in", tmp_path / "out", *off)
    found = datasets.load_from_disk(data / "set")["train"]
    check(found.to_list())
    assert found.features == saved.features
    assert found.info.description == "Letters"
    assert found.info.splits is None  # their counts are those of the input
    before = datasets.load_from_disk(tmp_path / "in" / "set")["train"]
    assert found._fingerprint != before._fingerprint
    check(
        [
            row | {"text": row["text"].removesuffix(" Elsewhere.")}
            for row in pd.read_feather(data / "b.json").to_dict("records")
        ]
    )
    report = json.loads((tmp_path / "out" / "report.json").read_bytes())
    names = ["dataset_dict.json", "dataset_info.json", "state.json"]
    assert [Path(name).name for name in report["input"]["passed_over"]] == names
    html = (tmp_path / "out" / "report.html").read_text()
    assert "Files of the input that were passed over, not read: " in html
    assert "dataset_info.json" in html
    (data / "set" / "train" / "dataset_info.json").write_text("{}")
    assert (
        "dataset_info.json is not what the manifest lists" in unrote("verify", tmp_path / "out").out
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of its writer
def test_wet(tmp_path):
    (tmp_path / "in").mkdir()
    texts = [row["text"] for row in ROWS]
    (tmp_path / "in" / "a.warc.wet.gz").write_bytes(wet(texts, packed=True))
    path = cleaned(tmp_path / "in", tmp_path / "out") / "a.warc.wet.gz"
    found = records(path.read_bytes())
    kept = [block.decode() for kind, _, block in found if kind == "conversion"]
    check([row | {"text": text} for row, text in zip((ROWS[0], *ROWS[1::2]), kept, strict=True)])
    assert [kind for kind, _, _ in found].count("metadata") == len(texts)


def pack_free(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
