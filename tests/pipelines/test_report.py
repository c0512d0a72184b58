"""One model of a run, and what its renderers make of it."""

import base64
import hashlib
import io
import re
import shutil
import subprocess
from itertools import pairwise

import duckdb
import pyarrow as pa
import pytest
from markupsafe import escape
from rich.console import Console

from tests.command import unrote
from tests.corpora import documents, write_jsonl
from unrote.corpus.errors import InputError
from unrote.corpus.schema import doc_key
from unrote.pipelines.config import Settings
from unrote.pipelines.finished import open_run
from unrote.pipelines.policy import Policy, evaluate
from unrote.pipelines.report import formatting
from unrote.pipelines.report.html import WIDTH, render, segments
from unrote.pipelines.report.model import (
    EXCERPT,
    Report,
    build,
    environment,
    excerpt_positions,
    from_json,
    summed,
    to_json,
)
from unrote.pipelines.report.queries import queries
from unrote.pipelines.report.terminal import print_summary, print_verdict
from unrote.pipelines.report.verdicts import advice
from unrote.pipelines.summary.clusters import CLUSTERS
from unrote.pipelines.summary.passages import PASSAGES
from unrote.pipelines.summary.rejects import FIRST_REJECTS, REJECT_REASONS
from unrote.pipelines.summary.totals import TOTALS

SHARDS = ["web/a.jsonl", "books/b.jsonl.zst"]

TEXTS = {
    doc_key(0, 3): "Permission is hereby granted, free of charge, to any person obtaining a copy.",
    doc_key(1, 0): "<script>alert('x')</script> & \x1b[31mred\x1b[0m\u202e \u202c\n\ttabs\x00",
    doc_key(1, 7): "All rights reserved. " * 40,
}


def excerpt(doc: int, start: int, length: int) -> tuple[str, str]:
    return f"id-{doc & 0xFF}", TEXTS[doc][start : start + length]


def no_example(*_: object) -> str:
    """Of reports without findings."""
    raise AssertionError("no example is shown")


def manifest(job: str = "clean", **changes: object) -> dict:
    settings = Settings.model_validate(changes).model_dump()
    return {
        "format": 1,
        "unrote": "0.1.0",
        "job": job,
        "fingerprint": "8c1f0d5be2a94c6f",
        "started": "2025-03-04T05:06:07+00:00",
        "finished": "2025-03-04T05:07:09+00:00",
        "settings": settings,
        "key": "0123456789abcdef",
        "environment": {"python": "3.11.7", "numpy": "2.4.6"},
        "input": {"shards": [{"name": name, "size": 60_000_000} for name in SHARDS], "slices": []},
        "phases": [
            phase("fingerprint", 2.41, 217_000_000, 0, documents=28_118, bands=506_124),
            phase("near-1-verify", 0.93, 31_000_000, 0, near=2871),
            phase("passages", 83.4, 0, 734_000_000, spans=41_233),
            phase("release", 1.2, 90_000_000, 0),
        ],
        "tables": {},
        "data": [{"shard": 0, "path": "data/web/a.jsonl", "bytes": 77_000_000, "digest": ""}],
    }


def phase(name: str, seconds: float, read: int, spilled: int, **rows: int) -> dict:
    return {
        "name": name, "seconds": seconds, "input_bytes": read, "shuffled_bytes": 2 * read,
        "spilled_bytes": spilled, "workers": 2, "rows": rows,
    }  # fmt: skip


def row(source: str | None, sources: int, *numbers: int) -> dict:
    names = (
        "documents", "bytes", "words", "removed_exact", "bytes_exact", "removed_near", "bytes_near",
        "removed_remainder", "bytes_remainder", "documents_cut", "bytes_passages", "passages",
        "passage_chars", "ids_derived",
    )  # fmt: skip
    counts = dict(zip(names, numbers, strict=True)) | {"uncut": 3, "bytes_uncut": 500}
    counts |= {"rejected": 0, "bytes_rejected": 0, "words_kept": counts["words"]}
    counts |= dict.fromkeys(
        (
            *("rejected_at_risk", "bytes_rejected_at_risk", "documents_at_risk", "bytes_at_risk"),
            *("rejected_contaminated", "bytes_rejected_contaminated"),
            *("documents_contaminated", "bytes_contaminated"),
        ),
        0,
    )
    return {
        "doc": 0,
        "negative_bytes": 0,
        "source_key": 0,
        "source": source,
        "sources": sources,
    } | counts


def tables() -> dict[str, pa.Table]:
    rows = {
        TOTALS: [
            row(
                "web", 1, 20_000, 150_000_000, 24_000_000, 1500, 9_000_000, 2800, 21_000_000,
                90, 700_000, 6100, 42_000_000, 38_000, 41_500_000, 0,
            ),
            row(
                "books", 1, 8000, 66_000_000, 11_000_000, 12, 800_000, 71, 2_100_000,
                0, 0, 950, 3_100_000, 3233, 3_000_000, 118,
            ),
            row(None, 3, 118, 1_000_000, 160_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        ],
        CLUSTERS: [
            cluster(doc_key(0, 3), 412, 9_120_000, 400, 12),
            cluster(doc_key(1, 0), 2, 310, 1, 1),
        ],
        PASSAGES: [
            passage(doc_key(1, 7), 21, 609, 1733),
            *(passage(doc_key(0, 3), start, 40, 30 - start) for start in range(12)),
        ],
        REJECT_REASONS: [
            reason("no JSON", 5),
            reason(None, 2),
        ],
        FIRST_REJECTS: [
            {"doc": 0, "document": 4, "shard": SHARDS[0], "row": 4, "reason": "no JSON"},
        ],
    }  # fmt: skip
    return {t.name: pa.Table.from_pylist(found, schema=t.schema) for t, found in rows.items()}


def reason(name: str | None, count: int) -> dict:
    return {
        "doc": 0, "negative_rows": -count, "reason_key": 1, "reason": name, "reasons": 1,
        "rows": count,
    }  # fmt: skip


def cluster(twin: int, copies: int, size: int, exact: int, near: int) -> dict:
    return {
        "doc": 0, "negative_copies": -copies, "twin": twin, "copies": copies, "bytes": size,
        "exact": exact, "near": near,
    }  # fmt: skip


def passage(witness: int, start: int, length: int, occurrences: int) -> dict:
    return {
        "doc": 0, "negative_size": -length * occurrences, "witness": witness, "start": start,
        "length": length, "occurrences": occurrences,
    }  # fmt: skip


def example(job: str = "clean", **settings: object) -> Report:
    return build(manifest(job, **settings), tables(), excerpt, no_example)


OFF = {"enabled": False}


def refused() -> Report:
    rules = [
        {"measure": "exact_share", "limit": 0.1},
        {"measure": "near_share", "limit": 0.05, "each_source": False, "source": "web"},
        {"measure": "passage_share", "limit": 0.25},
    ]
    return evaluate(Policy.model_validate({"rule": rules}), example("gate", memorization=OFF))


# The model.


def test_totals_add_up():
    report = example()
    total = report.total
    assert (total.documents, total.bytes, total.sources) == (28_118, 217_000_000, 5)
    assert total.kept.documents == 28_118 - 1500 - 2800 - 90 - 12 - 71
    assert total.kept.bytes + sum(part.bytes for part in total.parts.values()) == total.bytes
    assert total.kept.share + total.duplicate_share == pytest.approx(1)
    assert [balance.source for balance in report.by_source] == ["web", "books"]
    assert report.other_sources is not None
    assert report.other_sources.sources == 3
    assert report.rejects.rows == 7
    assert report.rejects.share == 7 / 28_125


def test_passages_that_are_only_reported_are_kept():
    report = example(dedup={"passages": {"action": "report"}})
    removed = [part.bytes for name, part in report.total.parts.items() if name != "passages"]
    assert report.total.kept.bytes == report.total.bytes - sum(removed)
    assert any("left in place" in note for note in report.notes)
    assert any("were found and not cut" in note for note in report.notes)
    assert "passages" not in {segment.name for segment in segments(report.total, report.cut)}


def test_notes_name_what_was_off_and_what_was_derived():
    notes = " ".join(example(dedup={"near": {"enabled": False}}).notes)
    assert "Near-duplicates were not looked for (dedup.near.enabled is false)." in notes
    assert "118 documents had no id" in notes


def test_notes_name_hot_buckets():
    phases = [
        {"name": "near-hot-buckets", "seconds": 0.1, "input_bytes": 0, "shuffled_bytes": 0}
        | {"spilled_bytes": 0, "workers": 1}
        | {"rows": {"hot_buckets": buckets, "hot_documents": 9 * buckets, "other_bands": 5}}
        for buckets in (3, 0)
    ]
    some, none = (
        " ".join(build(manifest() | {"phases": [p]}, tables(), excerpt, no_example).notes)
        for p in phases
    )
    assert "27 documents shared 3 hot LSH buckets (more than 256 documents each" in some
    assert "hot" not in none


def test_documents_are_named_by_shard_and_row():
    report = example()
    first = report.clusters[0]
    assert (first.shard, first.row, first.id, first.copies) == ("web/a.jsonl", 3, "id-3", 412)
    assert (report.passages[0].shard, report.passages[0].row) == ("books/b.jsonl.zst", 7)


def test_excerpts_are_short_and_cannot_control_anything():
    report = example()
    assert (
        report.clusters[1].excerpt
        == r"<script>alert('x')</script> & \x1b[31mred\x1b[0m\u202e \u202c tabs\x00"
    )
    assert len(report.passages[0].excerpt) <= EXCERPT + 1
    assert report.passages[0].excerpt.endswith("…")


def test_excerpts_are_asked_for_in_document_order():
    asked = []
    build(
        manifest(), tables(), lambda *place: (asked.append(place), excerpt(*place))[1], no_example
    )
    places = excerpt_positions(tables(), {})
    assert places == sorted(set(asked))
    assert all(length <= EXCERPT for _, _, length in places)


@pytest.mark.parametrize("report", [example(), refused()], ids=["clean", "gate"])
def test_report_json_round_trips(report):
    content = to_json(report)
    assert from_json(content) == report
    assert to_json(from_json(content)) == content


@pytest.mark.parametrize("content", ["", "{}", "[1]", b"\xff", '{"format": 2}'])
def test_what_is_no_report_is_refused(content):
    with pytest.raises(InputError, match=r"no report\.json of format 1"):
        from_json(content)


def test_every_key_of_report_json_is_documented():
    schema = Report.model_json_schema()
    assert {"total", "by_source", "clusters", "passages", "verdict"} <= set(schema["properties"])
    for name in ("share", "bytes"):
        assert "description" in schema["$defs"]["Amount"]["properties"][name]


def test_an_empty_corpus_has_a_report():
    report = build(manifest() | {"phases": [], "data": []}, {}, excerpt, no_example)
    assert report.headline == "There were no documents to read."
    assert segments(report.total, report.cut) == []
    assert "no documents" in render(report)
    assert report.total.duplicate_share == 0


def test_headlines():
    assert example().headline.startswith("28,118 documents in, 23,645 out: 36.")
    assert example("gate").headline.startswith("28,118 documents read: 36.")


def test_environment_names_what_decides_results():
    packages = {
        "numpy", "numba", "pyarrow", "presidio-analyzer", "phonenumbers", "regex", "torch"
    }  # fmt: skip
    assert set(environment()) == {"python", "platform", *packages}


def test_summed_is_the_total():
    report = example()
    rows = [*report.by_source, report.other_sources]
    assert summed(rows) == report.total


# Figures.


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (21_734_521, "21.7 MB"), (999_600, "1.00 MB")],
)
def test_sizes(number, shown):
    assert formatting.size(number).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 %"), (1e-6, "< 0.1 %"), (0.4132, "41.3 %"), (0.99999, "> 99.9 %"), (1, "100 %")],
)
def test_shares(value, shown):
    assert formatting.share(value).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.417, "0.42 s"), (12.34, "12.3 s"), (59.97, "1 min 0 s"), (5025, "1 h 24 min")],
)
def test_durations(seconds, shown):
    assert formatting.duration(seconds).replace("\xa0", " ") == shown


# Pictures.


def test_segments_fill_the_picture():
    report = example()
    found = segments(report.total, report.cut)
    assert [segment.name for segment in found] == ["kept", "exact", "near", "remainder", "passages"]
    assert found[0].whole[0] == found[0].apart[0] == 0
    assert found[-1].whole[1] == pytest.approx(WIDTH)
    assert found[-1].apart[1] == pytest.approx(WIDTH)
    for before, after in pairwise(found):
        assert before.whole[1] == after.whole[0]
        assert before.apart[1] < after.apart[0]


# HTML, as a browser reads it.


def browser_reads(page: str, folder) -> str:
    """The document after Chromium has read it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail(
            "Chromium is missing; install it with `apt-get install chromium` (make test does)."
        )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", "--dump-dom",
    ]  # fmt: skip
    done = subprocess.run(
        [chromium, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def test_a_browser_shows_the_numbers_and_fetches_nothing(tmp_path):
    page = browser_reads(render(refused()), tmp_path)
    for number in ("28,118", "412", "1,733", "734", "8c1f0d5be2a94c6f"):
        assert number in page
    assert "Refused: 1 of 3 rules broken." in page
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # ours: the test below
    assert not re.search(
        r"https?:|//|\bsrc=|\bhref=|url\(|@import|<link|<script|<img|<iframe", page
    )


def acted(page: str, action: str, folder) -> str:
    """The document after a script of the test has acted on it, as a person would."""
    open_ = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert open_ != page
    return browser_reads(open_.replace("</body>", f"<script>{action}</script></body>"), folder)


def column(page: str, caption: str, at: int) -> list[str]:
    """What the rows that a table shows have in a column."""
    table = page[page.index(caption) :].partition("</tbody>")[0].partition("<tbody>")[2]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)[at] for row in rows]
    return [re.sub(r"<[^>]*>|&nbsp;|\xa0", " ", cell).strip() for cell in cells]


def test_tables_are_sorted_and_filtered(tmp_path):
    """By a script that the page allows, and no other: it runs under the page's own policy."""
    page = render(example())
    assert '<th scope="col" class="n"><button type="button">' in browser_reads(page, tmp_path)
    times = [row.seconds for row in example().phases]
    shown = [formatting.duration(seconds).replace("\xa0", " ") for seconds in sorted(times)]
    assert len(times) > 2
    assert sorted(times) != times != sorted(times, reverse=True)
    click = "document.querySelector('[aria-labelledby=phases] th.n button').click();"
    typed = (
        "const field = document.querySelector('input'); field.value = 'DEDUP.NEAR';"
        "field.dispatchEvent(new Event('input'))"
    )
    page_after = acted(page, click + typed, tmp_path)
    assert column(page_after, "Phases of the run</caption>", 2) == shown[::-1]
    left = column(page_after, "All settings of the run</caption>", 0)
    assert left
    assert all(name.startswith("dedup.near.") for name in left)
    twice = acted(page, click * 2, tmp_path)
    assert column(twice, "Phases of the run</caption>", 2) == shown


def test_a_verdict_is_seen_whole(tmp_path):
    """However long the advice: what was measured and the limit are not off screen."""
    (broken,) = [rule for rule in refused().verdict.rules if not rule.passed]
    long = "licences.jsonl#2, licences.jsonl#4 " * 12
    page = render(refused()).replace(str(escape(advice(broken))), long)
    assert long in page
    measure = (
        "const all = [...document.querySelectorAll('.verdict .scroll')];"
        "document.title = all.length && all.every((e) => e.scrollWidth <= e.clientWidth)"
    )
    assert "<title>true</title>" in acted(page, measure, tmp_path)


def test_the_script_is_ours_alone():
    page = render(refused())
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert not re.search(r"https?:|//[^ ]|innerHTML|eval|fetch|XMLHttp|import|cookie", script)


def test_text_of_the_corpus_cannot_become_markup():
    page = render(example())
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp;" in page
    assert "\x1b" not in page


def test_tables_are_named_and_headings_in_order():
    page = render(refused())
    assert page.startswith("<!doctype html>")
    assert page.count("<table") == page.count("<caption")
    assert re.findall(r"<h(\d)", page)[0] == "1"
    assert set(re.findall(r"<h(\d)", page)) == {"1", "2"}
    assert len(set(re.findall(r' id="(\w+)"', page))) == len(re.findall(r' id="(\w+)"', page))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme):
    """WCAG AA: 4.5 for text, 3 for what pictures are made of (ochre excepted: it is labelled)."""
    block = re.findall(r":root \{(.*?)\}", render(example()), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
    paper = luminance(colours.pop("paper"))
    colours.pop("line")
    raised = luminance(colours.pop("raised"))
    for name, colour in colours.items():
        need = 4.5 if name in ("ink", "soft", "good", "bad", "link") else 2.2
        for ground in (paper, raised):
            light, dark = sorted([luminance(colour), ground], reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= need, name


# The terminal.


def printed(show, report: Report, out: str, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show(report, out, console)
    return console.file.getvalue().replace("\xa0", " ")


def test_summary_reads_without_a_terminal():
    text = printed(print_summary, example(), "out")
    assert "\x1b" not in text
    assert max(map(len, text.splitlines()[1:-1])) <= 100
    for part in (
        "28,118 documents in, 23,645 out",
        "exact duplicates",
        "web",
        "and 3 more sources",
    ):
        assert part in text
    assert text.splitlines()[-1] == "Report: out/report.html"


def test_verdict_names_each_rule():
    text = printed(print_verdict, refused(), "")
    assert re.search(r"exact_share +5\.377 % +10 % +passed", text)
    assert re.search(r"near_share in web +14 % +5 % +refused", text)
    assert "Refused: 1 of 3 rules broken." in text
    assert "Report:" not in text


def test_names_from_the_corpus_are_no_markup():
    report = example()
    odd = report.by_source[0].model_copy(update={"source": "[red]x[/nothing]"})
    report = report.model_copy(update={"by_source": (odd, *report.by_source[1:])})
    assert "[red]x[/nothing]" in printed(print_summary, report, "[b]out")


# Where numbers are from.


def test_the_queries_give_the_numbers_of_the_report(tmp_path, monkeypatch):
    """Each that the page shows, by DuckDB, on a run that has something in every section."""
    texts = documents(3, 120)
    found = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    found += [
        {"id": "mail", "text": f"Write to ann.lee{n}@example-mail.org soon."} for n in range(3)
    ]
    write_jsonl(tmp_path / "in" / "web" / "a.jsonl", found[:60])
    write_jsonl(tmp_path / "in" / "books" / "b.jsonl", [*found[60:], {"id": "none", "text": 7}])
    given = ("dedup.passages.min_bytes=40", "input.max_rejects=0.5")
    options = [word for setting in given for word in ("--set", setting)]
    out = tmp_path / "out"
    done = unrote("clean", tmp_path / "in", "-o", out, "-q", *options)
    assert done.status == 0, done.err
    report = open_run(out).report
    asked = queries(report)
    monkeypatch.chdir(out)
    rows = {name: duckdb.sql(query).fetchall() for name, query in asked.items()}
    parts = {"exact": report.total.exact, "near": report.total.near}
    assert {name: (n, size) for name, n, size in rows["flow"] if name in parts} == {
        name: (part.documents, part.bytes) for name, part in parts.items() if part.documents
    }
    assert sorted(rows["found"]) == sorted(
        (row.type, row.findings, row.documents, row.changed) for row in report.findings.types
    )
    assert sorted(rows["sources"]) == sorted(
        (row.source, row.documents, row.bytes) for row in report.by_source
    )
    copies = dict(rows["clusters"])
    assert all(copies[row.doc] == row.copies for row in report.clusters)
    assert rows["passages"] == [(report.total.passage_rows, report.total.passage_chars)]
    assert sorted(rows["rejects"]) == sorted(
        (row.reason, row.rows) for row in report.rejects.reasons
    )
    page = (out / "report.html").read_text()
    assert page.count("Where the numbers are from") == len(asked) == 6
