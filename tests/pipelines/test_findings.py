"""Personal data from one end to the other: found, replaced, and nowhere in what a run leaves."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard

from tests.command import files_below, unrote, written
from tests.corpora import personal, write_corpus, write_jsonl, write_parquet
from unrote.corpus.tables import read_table
from unrote.pii.keys import Key

SECRETS = (
    "jane.roe@unrote.org",
    "+1 212-664-7665",
    "4539 5787 6362 1486",
    "DE75 5121 0800 1245 1261 99",
    "536-90-4399",
    "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
)
TEXT = (
    "Write to jane.roe@unrote.org or +1 212-664-7665.\n"
    "Her card is 4539 5787 6362 1486, her IBAN DE75 5121 0800 1245 1261 99, "
    "her SSN 536-90-4399.\n"
    "token = ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8\n"
    "Signed <PERSON>, see https://docs.unrote.org/page on 2011-03-14.\n"
)
AUTHOR = "Jane <jane.roe@unrote.org>"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A corpus of every format that holds `TEXT` in different documents, and much else."""
    folder = write_corpus(tmp_path_factory.mktemp("personal") / "in", seed=3, count=60)
    rows = [
        {"id": f"t{n}", "text": f"Document {n} of many.\n{TEXT}", "author": AUTHOR}
        for n in range(3)
    ]  # fmt: skip
    write_jsonl(folder / "mail" / "a.jsonl", rows)
    write_jsonl(folder / "mail" / "b.jsonl.gz", personal(1, 20), ascii_only=True)
    write_jsonl(folder / "mail" / "c.jsonl.zst", personal(2, 20))
    write_parquet(folder / "mail" / "d.parquet", [*personal(3, 20), *rows])
    (folder / "mail" / "e.txt").write_text(TEXT)
    return folder


def contents(out: Path) -> dict[str, bytes]:
    """What is in a folder, compressed files and Parquet columns laid open."""
    found = {}
    for path in files_below(out):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        elif path.suffix == ".zst":
            content = zstandard.decompress(content, max_output_size=1 << 26)
        elif path.suffix == ".parquet":
            content += repr(pq.read_table(path).to_pylist()).encode()
        found[str(path.relative_to(out))] = content
    return found


def leaks(out: Path) -> list[tuple[str, str]]:
    """Where a planted value stands in what a run left."""
    return [
        (name, secret)
        for name, content in contents(out).items()
        for secret in SECRETS
        if secret.encode() in content
    ]


def findings(out: Path) -> list[dict]:
    files = sorted((out / "tables" / "findings").glob("*.parquet"))
    return [row for file in files for batch in read_table(file) for row in batch.to_pylist()]


def run(command: str, corpus: Path, out: Path, *options: str):
    done = unrote(command, corpus, "-o", out, *options)
    assert done.status == 0, done.err
    return done


@pytest.fixture(scope="module")
def cleaned(corpus, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cleaned") / "out"
    done = run("clean", corpus, out, "--set", 'pii.columns=["author"]')
    assert not any(secret in done.out + done.err for secret in SECRETS)
    return out


def test_no_planted_value_is_left_anywhere(cleaned):
    assert leaks(cleaned) == []
    assert unrote("verify", cleaned).status == 0


@pytest.mark.parametrize(
    "action", ["surrogate", "remove", "mask", "placeholder", "hash", "reject-document"]
)
def test_whatever_is_done(action, corpus, tmp_path):
    setting = f'pii.actions={{"*"="{action}"}}'
    options = ("--set", setting, "--set", 'pii.columns=["author"]')
    run("scrub", corpus, tmp_path / "once", *options)
    assert leaks(tmp_path / "once") == []
    done = unrote("verify", tmp_path / "once")
    assert done.status == 0, done.out
    if action != "reject-document":
        again = tmp_path / "once" / "data"
        run("scrub", again, tmp_path / "twice", *options)
        once = {name: one for name, one in written(tmp_path / "once").items() if "data/" in name}
        twice = {name: one for name, one in written(tmp_path / "twice").items() if "data/" in name}
        assert once == twice


def test_what_is_kept_is_shown_masked(corpus, tmp_path):
    run("scrub", corpus, tmp_path / "out", "--set", 'pii.actions={"*"="keep"}')
    assert {row["action"] for row in findings(tmp_path / "out")} == {"keep"}
    shown = [name for name, _ in leaks(tmp_path / "out")]
    assert shown
    assert all(name.startswith("data/") for name in shown)


def test_findings_are_in_the_input_s_coordinates(cleaned, corpus):
    rows = [json.loads(line) for line in (corpus / "mail" / "a.jsonl").read_text().splitlines()]
    manifest = json.loads((cleaned / "manifest.json").read_bytes())
    names = [shard["name"] for shard in manifest["input"]["shards"]]
    number = names.index("mail/a.jsonl")
    seen = set()
    for found in findings(cleaned):
        if found["doc"] >> 36 == number:
            row = rows[found["doc"] & 0xFFFF]
            value = (row["text"], row["author"])[found["field"]][found["start"] : found["end"]]
            seen.add((found["type"], value))
    assert ("EMAIL_ADDRESS", "jane.roe@unrote.org") in seen
    assert ("US_SSN", "536-90-4399") in seen
    assert ("DEID_MARKER", "<PERSON>") in seen


def test_one_value_has_one_surrogate_and_one_fingerprint(cleaned):
    data = contents(cleaned / "data")
    lines = [json.loads(line) for line in data["mail/a.jsonl"].splitlines()]
    mails = {line["text"].partition("Write to ")[2].partition(" or ")[0] for line in lines}
    mails |= {line["author"][6:-1] for line in lines if "author" in line}
    assert len(mails) == 1
    assert mails.pop().endswith((".example.com", ".example.net", ".example.org"))


def test_the_key_decides_the_surrogates(corpus, cleaned, tmp_path, monkeypatch):
    options = ("--set", 'pii.columns=["author"]')
    run("clean", corpus, tmp_path / "again", *options)
    assert written(tmp_path / "again") == written(cleaned)
    monkeypatch.setenv("UNROTE_KEY", "another key, of which no run depends")
    run("clean", corpus, tmp_path / "other", *options)
    ours, theirs = written(cleaned), written(tmp_path / "other")
    assert ours["data/mail/a.jsonl"] != theirs["data/mail/a.jsonl"]
    refused = unrote("clean", corpus, "-o", cleaned, *options)
    assert refused.status == 2
    assert "another key" in refused.err


def test_without_a_key_a_run_makes_one_and_says_so(corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("UNROTE_KEY")
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        done = run("scrub", corpus, out)
        assert "no key is given" in done.err
        assert "openssl rand -hex 32" in done.err
        assert any("No key was given" in note for note in report(out)["notes"])
    assert written(outs[0])["data/mail/a.jsonl"] != written(outs[1])["data/mail/a.jsonl"]
    assert "no key" not in run("scrub", corpus, outs[0]).err  # it is finished


def test_the_key_is_written_nowhere(cleaned, key):
    derived, _ = Key(key.encode()).__getstate__()
    for content in contents(cleaned).values():
        assert key.encode() not in content
        assert derived not in content
        assert derived.hex().encode() not in content


def test_a_key_that_is_too_short(corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("UNROTE_KEY")
    (tmp_path / "key").write_text("hunter2")
    done = unrote(
        "scrub", corpus, "-o", tmp_path / "out", "--set", f"pii.key_file={tmp_path / 'key'}"
    )
    assert done.status == 2
    assert "at least 32" in done.err
    assert "hunter2" not in done.err


def report(out: Path) -> dict:
    return json.loads((out / "report.json").read_bytes())


def test_report_counts_by_type_and_source_and_masks(cleaned):
    summary = report(cleaned)["findings"]
    types = {row["type"]: row for row in summary["types"]}
    rows = findings(cleaned)
    for name, row in types.items():
        own = [found for found in rows if found["type"] == name]
        assert row["findings"] == len(own)
        assert row["documents"] == len({found["doc"] for found in own})
        assert row["values"] == len({found["fingerprint"] for found in own})
    mails = types["EMAIL_ADDRESS"]
    assert mails["most_repeated_value"] >= mails["most_repeated_surrogate"] > 1
    assert any(example.startswith("j***@u***") for example in mails["examples"])
    assert sum(row["findings"] for row in summary["by_source"]) == summary["total"] == len(rows)
    assert {"mail"} <= {row["source"] for row in summary["by_source"]}


def test_columns_that_were_not_scanned_are_named(cleaned):
    (note,) = [note for note in report(cleaned)["notes"] if "not scanned" in note]
    assert "date" in note
    assert "author" not in note


def test_dry_run_counts_only(corpus, tmp_path):
    done = run("scrub", corpus, tmp_path / "out", "--dry-run")
    assert "to be replaced" in done.out
    assert not (tmp_path / "out" / "data").exists()
    assert leaks(tmp_path / "out") == []


def test_documents_that_cannot_be_finished_are_rejected(corpus, tmp_path):
    run("scrub", corpus, tmp_path / "out", "--set", "pii.max_chars=300")
    summary = report(tmp_path / "out")
    assert summary["total"]["rejected"]["documents"] == summary["rejects"]["rows"] > 0
    assert any(
        "reads at most 300 characters" in one["reason"] for one in summary["rejects"]["reasons"]
    )
    kept = summary["total"]["kept"]["documents"]
    assert kept + summary["rejects"]["rows"] == summary["total"]["documents"]
    done = unrote("verify", tmp_path / "out")
    assert done.status == 0, done.out


def test_copies_of_a_rejected_document_are_counted(tmp_path):
    text = f"A document that is there three times.\n{TEXT}"
    rows = [{"id": str(n), "text": text} for n in range(3)] + [{"id": "x", "text": "Another one."}]
    write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    setting = "pii.actions={US_SSN='reject-document'}"
    run("clean", tmp_path / "in", tmp_path / "out", "--set", setting)
    assert any(
        "2 documents were removed as copies" in note for note in report(tmp_path / "out")["notes"]
    )
    assert unrote("verify", tmp_path / "out").status == 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('pii.recognizers=["US_SNN"]', "Did you mean 'US_SSN'"),
        ('pii.actions={EMAIL_ADDRESS="masc"}', "'mask'"),
        ('pii.actions={EMAIL="mask"}', "Did you mean 'EMAIL_ADDRESS'"),
        ('pii.columns=["text"]', "always read"),
        ('pii.columns=["a", "a"]', "once"),
        ('pii.columns=["id"]', "is an id"),
        ("pii.thresholds={US_SSN=2}", "0 to 1"),
        ('pii.allow_regex=["("]', "regular expression"),
        ('pii.ner="spacy:none_such"', "none_such"),
        ('pii.key_file="/none/such"', "/none/such"),
    ],
)
def test_bad_settings_end_with_status_2(setting, said, corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("UNROTE_KEY")
    done = unrote("scrub", corpus, "-o", tmp_path / "out", "--set", setting)
    assert done.status == 2, done.err
    assert said in done.err


def test_gate_measures_findings(corpus, tmp_path):
    policy = tmp_path / "policy.toml"
    rules = [
        'measure = "findings_per_million_words"\nlimit = 0',
        'measure = "findings_per_million_words"\ntype = "US_SSN"\nlimit = 1e9',
        'measure = "markers_per_million_words"\nsource = "mail"\nlimit = 0',
        'measure = "secrets_per_million_words"\nlimit = 0',
    ]
    policy.write_text("".join(f"[[rule]]\n{rule}\n" for rule in rules))
    done = unrote("gate", corpus, "--policy", policy, "-o", tmp_path / "out")
    assert done.status == 1, done.err
    verdict = report(tmp_path / "out")["verdict"]
    assert [rule["passed"] for rule in verdict["rules"]] == [False, True, False, False]
    counted = report(tmp_path / "out")
    secrets = sum(
        row["findings"]
        for row in counted["findings"]["by_source"]
        if row["type"] == "SECRET" and row["action"] != "cut"
    )
    words = counted["total"]["words_kept"]
    assert verdict["rules"][3]["measured"] == pytest.approx(1e6 * secrets / words)
    assert leaks(tmp_path / "out") == []


def test_gate_needs_what_it_measures(corpus, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('[[rule]]\nmeasure = "secrets_per_million_words"\nlimit = 0\n')
    done = unrote("gate", corpus, "--policy", policy, "--set", "pii.secrets=false")
    assert done.status == 2
    assert "pii.secrets" in done.err


def test_show_masks(cleaned):
    done = unrote("show", cleaned, "mail/a.jsonl#0")
    assert done.status == 0
    assert "j***@u***" in done.out
    assert not any(secret in done.out for secret in SECRETS)
    removed = unrote("show", cleaned, "mail/d.parquet#20")  # near copies of a.jsonl's rows
    assert not any(secret in removed.out for secret in SECRETS)


def test_nothing_of_a_text_is_in_a_bug_s_report(corpus, tmp_path, monkeypatch):
    def fail(self, text, doc=0):
        raise ValueError(text)

    monkeypatch.setattr("unrote.pii.scanner.Scanner.find_all", fail)
    done = unrote("scrub", corpus, "-o", tmp_path / "out", "--set", "engine.workers=1")
    assert done.status == 3
    assert not any(secret in done.err for secret in SECRETS)


def test_a_run_without_a_key_can_be_continued_by_another_process(corpus, tmp_path, monkeypatch):
    """With a key of its own: what was put in the place of findings is drawn again."""
    monkeypatch.delenv("UNROTE_KEY")

    def fail(text, cuts, changes):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("unrote.pipelines.release.apply_edits", fail)
        assert unrote("clean", corpus, "-o", tmp_path / "out").status == 3
    done = run("clean", corpus, tmp_path / "out")
    phases = [json.loads(line).get("phase") for line in done.err.splitlines()]
    assert "findings" in phases
    assert "fingerprint" not in phases
    assert unrote("verify", tmp_path / "out").status == 0
    # The column `author` was not asked for, and is as it was.
    assert all(name.startswith("data/mail/") for name, _ in leaks(tmp_path / "out"))


def test_a_marker_that_holds_what_it_should_hide_is_shown_masked(tmp_path):
    text = (
        "[**Name (NI) jane.roe@unrote.org**] patient seen, ssn [**Social Security 536-90-4399**]."
    )
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": "x", "text": text}])
    run("scrub", tmp_path / "in", tmp_path / "out")
    assert leaks(tmp_path / "out") == []
    shown = unrote("show", tmp_path / "out", "x")
    assert not any(secret in shown.out for secret in SECRETS)


def test_a_run_that_looked_for_little_shows_no_more(tmp_path):
    rows = [{"id": str(n), "text": f"{TEXT}\nThe same twice."} for n in range(2)]
    write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    run("clean", tmp_path / "in", tmp_path / "out", "--set", 'pii.recognizers=["UK_NHS"]')
    run("dedup", tmp_path / "in", tmp_path / "other")
    for out in (tmp_path / "out", tmp_path / "other"):
        assert {name.split("/")[0] for name, _ in leaks(out)} == {"data"}
        assert report(out)["clusters"]
        shown = unrote("show", out, "1")
        assert not any(secret in shown.out for secret in SECRETS)


def test_a_column_without_text_is_told_of(corpus, tmp_path):
    run("scrub", corpus, tmp_path / "out", "--dry-run", "--set", 'pii.columns=["auhtor"]')
    (note,) = [note for note in report(tmp_path / "out")["notes"] if "auhtor" in note]
    assert "no text was seen" in note
    (note,) = [note for note in report(tmp_path / "out")["notes"] if "not scanned" in note]
    assert "meta" in note  # an object, in which text may be


@pytest.mark.parametrize("job", ["scrub", "clean"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [({"mail": "jane.roe@unrote.org"}, "an object"), ([], "an array"), (4152034478, "a number")],
)
def test_a_named_column_that_holds_no_text_is_refused(job, value, kind, tmp_path):
    rows = [{"text": "One.", "meta": None}, {"text": "Two.", "meta": value}]
    write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    out = tmp_path / "out"
    done = unrote(job, tmp_path / "in", "-o", out, "--set", 'pii.columns=["meta"]')
    assert done.status == 2
    assert f"column 'meta' of {tmp_path}/in/a.jsonl is {kind} in row 1; allowed" in done.err
    assert "jane" not in done.err
    assert not (out / "data").exists()
    assert not (out / "manifest.json").exists()


def test_a_row_whose_named_column_holds_no_text_is_rejected(tmp_path):
    """Where the first rows said that it would."""
    mail = "jane.roe@unrote.org"
    rows = [{"id": str(n), "text": f"Row {n}.", "meta": "none"} for n in range(150)]
    rows[120]["meta"], rows[140]["meta"] = {"mail": mail}, [[mail]]
    write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    named = ("--set", 'pii.columns=["meta"]')
    done = unrote("scrub", tmp_path / "in", "-o", tmp_path / "stopped", *named)
    assert done.status == 3
    assert "a.jsonl, row 120: field 'meta' is an object" in done.err
    assert "jane" not in done.err
    run("scrub", tmp_path / "in", tmp_path / "out", *named, "--set", "input.max_rejects=0.1")
    summary = report(tmp_path / "out")
    assert {one["reason"] for one in summary["rejects"]["reasons"]} == {
        "field 'meta' is an object",
        "field 'meta' is an array",
    }
    assert summary["total"]["kept"]["documents"] == 148
    assert "jane" not in "".join(map(str, contents(tmp_path / "out")))
    assert unrote("verify", tmp_path / "out").status == 0


def test_secrets_go_whole_and_nothing_else_goes(tmp_path):
    token, feed = "ghp_" + "Kd93hfYw72LmQx84" * 2 + "Zt5B", "glpat-" + "Kd93hfYw72LmQx84Zt5B"
    signed = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.Kd93hfYw72LmQx84Zt5BKd93hfYw72LmQx84Zt5B"
    before = (
        f"export TOKEN={token}\n",
        f"curl -H 'TOKEN: {feed}' for {signed}. Then pass the compass,\n",
        "http_proxy=http://user:pass@proxy.unrote.org:8080 bypasses the passport, --passwd x\n",
        "git clone https://bot:x@git.unrote.org/xml-express.git # fixes the max index of text",
    )
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": "1", "text": "".join(before)}])
    run("scrub", tmp_path / "in", tmp_path / "out")
    ((row,),) = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (tmp_path / "out" / "data").iterdir()
    ]
    for part in (token, feed, *signed.split("."), token[4:], feed[6:]):
        assert part not in row["text"]
    for kept in (
        *("export TOKEN=", "\ncurl -H 'TOKEN: ", "' for ", ". Then pass the compass,\n"),
        *("http_proxy=http://user:", "@proxy.unrote.org:8080 bypasses the passport, --passwd x\n"),
        *(
            "git clone https://bot:",
            "@git.unrote.org/xml-express.git # fixes the max index of text",
        ),
    ):
        assert kept in row["text"]
    assert "user:pass@" not in row["text"]
    assert "bot:x@" not in row["text"]
    assert unrote("verify", tmp_path / "out").status == 0
    run("scrub", tmp_path / "out" / "data", tmp_path / "again")
    (again,) = (tmp_path / "again" / "data").iterdir()
    assert json.loads(again.read_text())["text"] == row["text"]


def test_excerpts_can_be_left_out(corpus, tmp_path):
    run("clean", corpus, tmp_path / "out", "--set", "output.excerpts=false")
    assert report(tmp_path / "out")["clusters"]
    assert {one["excerpt"] for one in report(tmp_path / "out")["clusters"]} == {""}


def test_what_is_found_in_another_form_is_not_shown_either(tmp_path):
    """A full-width address is one with input.normalization=nfkc only, in excerpts too."""
    wide = "".join(chr(ord(char) + 0xFEE0) for char in "jane.roe@acme.com")
    text = f"Write to {wide} for the minutes of the meeting about the harbour wall. " * 3
    write_jsonl(tmp_path / "in" / "a.jsonl", [{"text": text}, {"text": text}])
    run("clean", tmp_path / "in", tmp_path / "out", "--set", "input.normalization=nfkc")
    (cluster,) = report(tmp_path / "out")["clusters"]
    assert "harbour" in cluster["excerpt"]
    assert wide not in cluster["excerpt"]
    assert wide not in unrote("show", tmp_path / "out", "a.jsonl#0").out
