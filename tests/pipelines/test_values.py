"""Documents of several values through the command: chats, instructions, nested columns."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unrote as package
from tests.command import unrote
from unrote.pipelines.verify import verify

SYSTEM = (
    "You are a helpful assistant of a public library. Answer in full sentences, and say which "
    "shelf a book stands on."
)
ASK = "Where would I find {0} books, and may I write to jane.roe{1}@acme{1}.com about them?"
SAY = "{0} books stand on shelf {1} of the second floor, next to the window that faces the river."
KINDS = ("history", "garden", "travel", "music", "chess", "poetry", "cooking", "law", "birds")


def chats(count=24):
    rows = []
    for n in range(count):
        kind = f"{KINDS[n % 9]} {n}"
        turns = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": ASK.format(kind, n)},
            {"role": "assistant", "content": None, "tool": "search"},
            {"role": "assistant", "content": SAY.format(kind, n) + f" Ask for number {n * 7919}."},
        ]
        rows.append({"id": str(n), "messages": turns, "meta": {"email": f"clerk{n}@acme{n}.org"}})
    rows.append(rows[3] | {"id": "copy"})
    return rows


def write(folder, name, rows):
    folder.mkdir()
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(row):
    return [turn["content"] for turn in row["messages"]]


def without_contents(row):
    turns = [turn | {"content": None} for turn in row["messages"]]
    return row | {"messages": turns, "meta": None}


PATHS = ("--set", "input.text=messages[].content", "--set", 'pii.columns=["meta.email"]')


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet"])
def test_a_chat_is_one_document_and_each_turn_goes_back_to_its_place(tmp_path, name):
    rows, out = chats(), tmp_path / "out"
    before = read(write(tmp_path / "in", name, rows) / name)
    done = unrote("clean", tmp_path / "in", "-o", out, *PATHS)
    assert done.status == 0, done.err
    assert verify(str(out)).ok
    after = read(out / "data" / name)
    assert [row["id"] for row in after] == [str(n) for n in range(24)]
    for old, new in zip(before, after, strict=False):
        assert without_contents(new) == without_contents(old)
        system, ask, tool, say = contents(new)
        assert (system, tool, say) == (SYSTEM, None, contents(old)[3])
        assert "jane.roe" not in ask
        assert ask.startswith("Where would I find")
        assert "acme" not in new["meta"]["email"]
    assert "Duplicate passages were found and left in place" in done.out
    run = package.open_run(out)
    values = run.table("values").to_pylist()
    texts = ["\n".join(filter(None, contents(row))) for row in before]
    for one in values:
        if one["field"] == 0:
            text = texts[one["doc"]]
            said = [turn for turn in contents(before[one["doc"]]) if turn is not None]
            assert text[one["start"] : one["end"]] == said[one["value"]]
    found = run.table("findings").to_pylist()
    mails = [one for one in found if one["field"] == 0]
    assert {texts[one["doc"]][one["start"] : one["end"]] for one in mails} == {
        f"jane.roe{n}@acme{n}.com" for n in range(24)
    }


def test_a_value_goes_from_every_turn_in_every_spelling(tmp_path):
    out, rows = tmp_path / "out", chats(5)
    rows[0]["messages"][1]["content"] = "Write to anna.kestrel@kestrel.org, please."
    rows[0]["messages"][3]["content"] = "See https://acme.org/?to=anna.kestrel%40kestrel.org there."
    rows[0]["meta"]["email"] = "ANNA.KESTREL@KESTREL.ORG"
    write(tmp_path / "in", "a.jsonl", rows)
    assert unrote("clean", tmp_path / "in", "-o", out, *PATHS).status == 0
    assert verify(str(out)).ok
    first = json.dumps(read(out / "data" / "a.jsonl")[0]).lower()
    assert "kestrel" not in first


def test_passages_of_chats_are_cut_if_asked(tmp_path):
    out = tmp_path / "out"
    write(tmp_path / "in", "a.jsonl", chats())
    asked = ("--set", "dedup.passages.cut_values=true", "--set", "dedup.near.enabled=false")
    assert unrote("clean", tmp_path / "in", "-o", out, *PATHS, *asked).status == 0
    assert verify(str(out)).ok
    after = read(out / "data" / "a.jsonl")
    assert contents(after[0])[0] == SYSTEM
    assert {contents(row)[0] for row in after[1:]} == {""}
    assert all(len(contents(row)) == 4 for row in after)


def test_memorization_reads_turns_as_lines(tmp_path):
    """Every stage that looks at released text, with all that can be done to it."""
    out = tmp_path / "out"
    write(tmp_path / "in", "a.jsonl", chats())
    asked = ("memorization.max_tokens=3000", "memorization.action=remove-sequence",
             "memorization.threshold=0.0001", "memorization.masks=all",
             "dedup.passages.cut_values=true")  # fmt: skip
    sets = [part for one in asked for part in ("--set", one)]
    done = unrote("clean", tmp_path / "in", "-o", out, *PATHS, *sets)
    assert done.status == 0, done.err
    assert verify(str(out)).ok
    assert all(len(contents(row)) == 4 for row in read(out / "data" / "a.jsonl"))


def test_a_list_of_columns_in_csv(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with (folder / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "instruction", "input", "output"])
        for n in range(12):
            writer.writerow([n, ASK.format(KINDS[n % 9], n), "", SAY.format(KINDS[n % 9], n * 31)])
    out = tmp_path / "out"
    asked = 'input.text=["instruction", "input", "output"]'
    done = unrote("clean", folder, "-o", out, "--set", asked)
    assert done.status == 0, done.err
    assert verify(str(out)).ok
    with (out / "data" / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all("jane.roe" not in row["instruction"] and row["input"] == "" for row in rows)
    assert [row["output"] for row in rows] == [
        SAY.format(KINDS[n % 9], n * 31) for n in map(int, (row["id"] for row in rows))
    ]


@pytest.mark.parametrize("damage", ["turn", "role", "column", "order"])
def test_verify_sees_what_happened_to_a_value(tmp_path, damage):
    out = tmp_path / "out"
    write(tmp_path / "in", "a.jsonl", chats())
    assert unrote("clean", tmp_path / "in", "-o", out, *PATHS).status == 0
    path = out / "data" / "a.jsonl"
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    if damage == "turn":
        row["messages"][3]["content"] += " More."
    elif damage == "role":
        row["messages"][3]["role"] = "user"
    elif damage == "column":
        row["meta"]["email"] = "clerk0@acme0.org"
    else:
        row["messages"][0], row["messages"][3] = row["messages"][3], row["messages"][0]
    path.write_text("\n".join([json.dumps(row), *others]) + "\n")
    assert not verify(str(out)).ok


CODE = """import socket

def connect(host="10.20.30.{0}"):
    # Ask jane.roe{0}@acme{0}.com before you change this
    return socket.create_connection((host, {0}000))
"""
PAGE = "<p>Caf&eacute; No {0} stands behind the mill &amp; the bridge over the river.</p>"
OF_PRESETS = {
    "web": [{"text": PAGE.format(7)}, {"text": PAGE.format(7).replace("&eacute;", "é")}]
    + [{"text": SAY.format(kind, kind)} for kind in KINDS],
    "chat": chats(),
    "instruction": [
        {"instruction": ASK.format(kind, n), "input": "", "output": SAY.format(kind, n * 31)}
        for n, kind in enumerate(KINDS)
    ],
    "code": [{"content": CODE.format(n)} for n in range(5)],
}


@pytest.mark.parametrize("preset", OF_PRESETS)
def test_presets_on_a_corpus_of_their_kind(tmp_path, preset):
    write(tmp_path / "in", "a.jsonl", OF_PRESETS[preset])
    assert unrote("init", tmp_path / "unrote.toml", "--preset", preset).status == 0
    out = tmp_path / "out"
    done = unrote("clean", tmp_path / "in", "-o", out, "-c", tmp_path / "unrote.toml")
    assert done.status == 0, done.err
    assert verify(str(out)).ok
    after = read(out / "data" / "a.jsonl")
    text = json.dumps(after, ensure_ascii=False)
    assert "jane.roe" not in text
    if preset == "web":
        assert len(after) == len(OF_PRESETS["web"]) - 1
    if preset == "code":
        assert "10.20.30" not in text
        assert "4000" in text


def test_a_path_that_leads_nowhere_stops_the_run(tmp_path):
    write(tmp_path / "in", "a.jsonl", chats())
    wrong = ("--set", "input.text=turns[].text")
    done = unrote("clean", tmp_path / "in", "-o", tmp_path / "out", *wrong)
    assert done.status == 3
    assert "no text at 'turns[].text'" in done.err
    assert "'messages[].content'" in done.err
    done = unrote("clean", tmp_path / "in", "-o", tmp_path / "out2", "--set", "input.text=turns[0]")
    assert done.status == 2
    assert "malformed" in done.err
