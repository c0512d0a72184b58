"""Memorization risk, from a corpus to tables and released text; every run is verified."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command import files_below, unrote, written
from tests.corpora import Writer, personal, write_jsonl, write_parquet
from tests.memorization import tiny
from unrote.corpus.errors import ConfigError
from unrote.corpus.schema import PUBLISHED, REPLACEMENTS, SPANS
from unrote.corpus.views import apply_edits
from unrote.pipelines.clean import clean
from unrote.pipelines.config import load
from unrote.pipelines.engines.local import LocalEngine
from unrote.pipelines.progress import Silent
from unrote.pipelines.report.formatting import percent
from unrote.pipelines.verify import verify

POEM = (
    "Half a league, half a league, half a league onward, all in the valley of Death rode the six "
    "hundred. Forward, the Light Brigade! Charge for the guns, he said. Into the valley of Death "
    "rode the six hundred. Theirs not to make reply, theirs not to reason why, theirs but to do "
    "and die. Cannon to right of them, cannon to left of them, cannon in front of them volleyed "
    "and thundered; stormed at with shot and shell, boldly they rode and well. "
)


def write(folder: Path) -> Path:
    """Some 50 kB: copies and passages, personal data, a poem that is in every third document."""
    writer = Writer(11)
    texts = []
    for n in range(60):
        text = writer.text(writer.random.randint(2, 14))
        texts.append(f"{text}{POEM}{writer.text(2)}" if n % 3 == 0 else text)
    texts += [texts[1], texts[4], "", " \n", "x", writer.near_copy(texts[2])]
    found = [{"id": f"t{n}", "text": text} for n, text in enumerate(texts)]
    write_jsonl(folder / "a.jsonl", found[:40])
    write_parquet(folder / "b.parquet", found[40:])
    write_jsonl(folder / "c.jsonl.gz", personal(3, 25))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scores") / "in")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return f"memorization.model={tiny.save(tmp_path_factory.mktemp('model'))}"


KEEP_PASSAGES = "dedup.passages.action=report"
KEPT = "output.internal_tables=true"


def run(corpus, out, *given, **options):
    """Clean and verify."""
    given = ("memorization.device=cpu", *given)
    report = clean([str(corpus)], str(out), load(None, given), Silent(), **options)
    verdict = verify(str(out))
    assert verdict.ok, [check.failures for check in verdict.checks if check.failed]
    return report


def rows_in(out, name, folder="tables"):
    paths = files_below(out / folder / name)
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def texts_in(corpus):
    """The texts of the input by `doc`."""
    found = {}
    for number, path in enumerate(sorted(corpus.iterdir())):
        if path.suffix == ".parquet":
            texts = pq.read_table(path)["text"].to_pylist()
        else:
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            texts = [json.loads(line)["text"] for line in content.splitlines()]
        found |= {number << 36 | row: text for row, text in enumerate(texts)}
    return found


class Views:
    """The three views of a corpus, made from the tables of a run."""

    def __init__(self, corpus, out):
        self.texts = texts_in(corpus)
        twins = {row["doc"] for row in rows_in(out, "duplicates")}
        self.cuts, self.changes = {}, {}
        for row in rows_in(out, SPANS.name):
            self.cuts.setdefault(row["doc"], []).append((row["start"], row["end"]))
        for row in rows_in(out, REPLACEMENTS.name, "internal"):
            if row["field"] == 0:
                change = (row["start"], row["end"], row["text"])
                self.changes.setdefault(row["doc"], []).append(change)
        kept = {doc: text for doc, text in self.texts.items() if doc not in twins}
        self.deduplicated = {d: apply_edits(t, self.cuts.get(d, ()), ()) for d, t in kept.items()}
        self.released = {
            d: apply_edits(t, self.cuts.get(d, ()), self.changes.get(d, ()))
            for d, t in kept.items()
        }

    def own(self, row):
        """A sequence's released text, if it begins and ends in no value that was replaced."""
        start, end = row["start"], row["end"]
        cuts = [
            (max(a, start) - start, min(b, end) - start)
            for a, b in self.cuts.get(row["doc"], ())
            if a < end and b > start
        ]
        changes = [
            (a - start, b - start, new)
            for a, b, new in self.changes.get(row["doc"], ())
            if a < end and b > start
        ]
        return apply_edits(self.texts[row["doc"]][start:end], cuts, changes), bool(cuts or changes)


class TestScores:
    @pytest.fixture(scope="class")
    def out(self, corpus, model, tmp_path_factory):
        """A run in which the model reads all."""
        out = tmp_path_factory.mktemp("run") / "out"
        run(corpus, out, model, KEPT)
        return out

    @pytest.fixture(scope="class")
    def scores(self, out):
        return rows_in(out, "scores")

    @pytest.fixture(scope="class")
    def views(self, corpus, out):
        return Views(corpus, out)

    def test_every_released_document_has_some(self, scores, views):
        assert {row["doc"] for row in scores} == set(views.released)
        assert {row["doc"] for row in scores if row["reason"] == "no tokens"} == {
            doc for doc, text in views.released.items() if not text
        }

    def test_places_are_in_the_input(self, scores, views, out):
        """What stands there, with cuts and replacements, is the sequence's text."""
        selected = {(r["doc"], r["number"]): r for r in rows_in(out, "selected", "internal")}
        numbers, whole = {}, 0
        for row in scores:
            number = numbers.setdefault(row["doc"], 0)
            numbers[row["doc"]] += 1
            if row["scored_by"] is None:
                continue
            assert 0 <= row["start"] < row["end"] <= len(views.texts[row["doc"]])
            text, is_edited = views.own(row)
            own = selected[row["doc"], number]["text"]
            if is_edited:  # it may begin or end within a new value
                assert own.strip("\n") in text
            else:
                assert own == text
                whole += 1
        assert 100 < whole < len(scores)

    def test_copies_are_what_counting_finds(self, scores, views, out):
        selected = iter(rows_in(out, "selected", "internal"))
        looked_at = 0
        for row in scores:
            if row["scored_by"] is None:
                continue
            said = next(selected)
            before = said["source"] or said["text"]
            counts = [
                sum(text.count(before) for text in views.texts.values()),
                sum(text.count(before) for text in views.deduplicated.values()),
                sum(text.count(said["text"]) for text in views.released.values()),
            ]
            names = ("copies_input", "copies_deduplicated", "copies")
            assert [row[name] for name in names] == counts
            looked_at += max(counts) > 1
        assert looked_at > 10
        assert next(selected, None) is None

    def test_every_sequence_has_a_risk_or_a_reason(self, scores):
        for row in scores:
            if row["risk"] is None:
                assert row["reason"] == "no tokens"
            else:
                for view in ("_input", "_deduplicated", ""):
                    band = [row[f"risk{view}{end}"] for end in ("_low", "", "_high")]
                    assert 0 < band[0] <= band[1] <= band[2] <= 1
                assert row["category"] in {"recite", "reconstruct", "recollect"}
            assert row["scored_by"] == "model" or row["reason"]
            assert row["action"] == "keep"

    @pytest.mark.parametrize("name", [table.name for table in PUBLISHED])
    def test_there_is_no_nan(self, out, name):
        for row in rows_in(out, name):
            assert not any(value != value for value in row.values()), row

    def test_more_copies_are_more_risk(self, scores):
        rows = [row for row in scores if row["risk"] is not None]
        assert all(
            row["risk_input"] >= row["risk"] for row in rows if row["copies_input"] > row["copies"]
        )

    def test_another_time_the_same_bytes(self, corpus, model, out, tmp_path):
        run(corpus, tmp_path / "out", model, 'engine.batch="700"', "engine.workers=2")
        expected = written(out)
        found = written(tmp_path / "out")
        assert found == {name: expected[name] for name in found}

    def test_shown(self, out, scores):
        riskiest = max((row for row in scores if row["risk"] is not None), key=lambda r: r["risk"])
        done = unrote("show", out, riskiest["doc"])
        assert done.status == 0, done.err
        assert f"risk {percent(riskiest['risk'])}" in done.out
        assert riskiest["category"] in done.out


class TestBudget:
    def test_the_model_reads_about_as_much(self, corpus, model, tmp_path):
        most = 6000
        run(corpus, tmp_path / "out", model, f"memorization.max_tokens={most}", KEEP_PASSAGES)
        scores = rows_in(tmp_path / "out", "scores")
        read = [row for row in scores if row["scored_by"] == "model"]
        tokens = sum(row["prefix_tokens"] + row["suffix_tokens"] for row in read)
        assert 0.6 * most < tokens < 1.4 * most
        left = [row for row in scores if row["scored_by"] == "text"]
        assert len(left) > len(read)
        assert all(row["reason"] == "not selected" for row in left)
        assert all(row["loss"] is None for row in left)
        assert all(row["copies_deduplicated"] is not None for row in left), "they were counted"
        drawn = [row["sampled"] for row in read]
        assert 0 < sum(drawn) < len(drawn)
        assert not any(row["sampled"] for row in left)

    def test_the_default_model(self, corpus, tmp_path):
        run(corpus, tmp_path / "out", "memorization.max_tokens=3000")
        scores = rows_in(tmp_path / "out", "scores")
        assert any(row["scored_by"] == "model" for row in scores)


def released(out):
    found = []
    for path in files_below(out / "data"):
        if path.suffix == ".parquet":
            found += pq.read_table(path)["text"].to_pylist()
        elif path.suffix == ".jsonl":
            found += [json.loads(line)["text"] for line in path.read_bytes().splitlines()]
    return found


class TestRemoval:
    """The poem is in twenty documents: nothing else comes near it."""

    @pytest.fixture(scope="class")
    def threshold(self, corpus, tmp_path_factory):
        """Between what is at risk and what is not."""
        out = tmp_path_factory.mktemp("first") / "out"
        run(corpus, out, "memorization.max_tokens=8000", KEEP_PASSAGES)
        rows = rows_in(out, "scores")
        risks = sorted((row["risk_high"] for row in rows if row["risk"]), reverse=True)
        return f"memorization.threshold={risks[len(risks) // 20]}"

    def given(self, threshold, action):
        action = f"memorization.action={action}"
        return ("memorization.max_tokens=8000", KEEP_PASSAGES, threshold, action)

    def test_of_sequences(self, corpus, threshold, tmp_path):
        out, removed = tmp_path / "out", tmp_path / "removed"
        report = run(
            corpus, out, *self.given(threshold, "remove-sequence"), f"output.keep_removed={removed}"
        )
        texts, scores = texts_in(corpus), rows_in(out, "scores")
        gone = [row for row in scores if row["action"] == "remove-sequence"]
        assert gone
        kept = released(out)
        before = sum(text.count(POEM[40:80]) for text in texts.values())
        assert sum(text.count(POEM[40:80]) for text in kept) < before / 2
        found = [r for path in removed.glob("*.parquet") for r in pq.read_table(path).to_pylist()]
        at_risk = [row for row in found if row["reason"] == "at-risk"]
        for row in gone:
            assert any(
                one["doc"] == row["doc"]
                and one["start"] <= row["start"]
                and row["end"] <= one["end"]
                for one in at_risk
            )
        for one in at_risk:
            assert one["text"] == texts[one["doc"]][one["start"] : one["end"]]
        assert report.total.documents == len(texts)

    def test_of_documents(self, corpus, threshold, tmp_path):
        out = tmp_path / "out"
        run(corpus, out, *self.given(threshold, "remove-document"))
        scores, rejects = rows_in(out, "scores"), rows_in(out, "rejects")
        gone = {row["doc"] for row in scores if row["action"] == "remove-document"}
        assert gone
        assert {row["doc"] for row in rejects} == gone
        assert all("memorization" in row["reason"] for row in rejects)
        done = unrote("show", out, min(gone))
        assert "Rejected: at risk of memorization" in done.out
        assert re.search(r"Memorization: the (riskiest of|only sequence)", done.out)
        duplicates = {row["doc"] for row in rows_in(out, "duplicates")}
        assert len(texts_in(corpus)) == len(rows_in(out, "documents"))
        kept = [d for d in texts_in(corpus) if d >> 36 < 2 and d not in gone | duplicates]
        assert len(released(out)) == len(kept)

    def test_without_personal_data(self, corpus, threshold, tmp_path):
        given = (*self.given(threshold, "remove-document"), "pii.enabled=false")
        run(corpus, tmp_path / "out", *given)
        assert rows_in(tmp_path / "out", "rejects")

    def test_of_sequences_with_replaced_values_and_cuts(self, corpus, model, tmp_path):
        """All of the text, nearly: what stays is what is cut around."""
        run(
            corpus,
            tmp_path / "out",
            model,
            "memorization.threshold=1e-9",
            "memorization.action=remove-sequence",
        )
        assert {text.strip() for text in released(tmp_path / "out")} == {""}


class TestScoreAlone:
    def test_writes_no_data(self, corpus, model, tmp_path):
        out = tmp_path / "out"
        options = [
            word for given in (model, "memorization.device=cpu") for word in ("--set", given)
        ]
        done = unrote("score", corpus, "-o", out, *options)
        assert done.status == 0, done.err
        assert {path.name for path in out.iterdir()} == {
            "manifest.json", "metrics.prom", "report.html", "report.json", "tables"
        }  # fmt: skip
        scores = rows_in(out, "scores")
        assert {row["doc"] for row in scores} == set(texts_in(corpus))
        assert unrote("verify", out).status == 0


class TestBadModels:
    """Are refused before any phase is run."""

    def refused(self, corpus, out, *given):
        with pytest.raises(ConfigError) as caught:
            run(corpus, out, *given)
        assert not list(out.glob(".run/phases/*"))
        assert not (out / "manifest.json").exists()
        return str(caught.value)

    def test_a_name_that_is_none(self, corpus, tmp_path):
        said = self.refused(corpus, tmp_path / "out", "memorization.model=nobody/nothing")
        assert "hf download nobody/nothing" in said

    def test_a_corrupt_folder(self, corpus, tmp_path):
        folder = tiny.save(tmp_path / "model")
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        said = self.refused(corpus, tmp_path / "out", f"memorization.model={folder}")
        assert "broken model.safetensors" in said
        weights.unlink()
        assert "safetensors" in self.refused(
            corpus, tmp_path / "again", f"memorization.model={folder}"
        )

    def test_a_device_that_is_not_there(self, corpus, model, tmp_path):
        said = self.refused(corpus, tmp_path / "out", model, "memorization.device=cuda:99")
        assert "this machine has" in said

    def test_a_sequence_longer_than_the_context(self, corpus, model, tmp_path):
        given = ("memorization.prefix=100", "memorization.suffix=100")
        said = self.refused(corpus, tmp_path / "out", model, *given)
        assert "128" in said

    def test_a_reference_with_other_tokens(self, corpus, model, tmp_path):
        said = self.refused(
            corpus, tmp_path / "out", model, "memorization.comparison_model=default"
        )
        assert "different tokenizers" in said


class TestStopped:
    @pytest.mark.parametrize("phase", ["sequences", "sequence-copies", "scores"])
    def test_goes_on_to_the_same_bytes(self, corpus, model, tmp_path, monkeypatch, phase):
        given = (model, "memorization.max_tokens=4000", "memorization.action=remove-document")
        given = (*given, "memorization.threshold=0.01", "pii.enabled=false")
        whole = LocalEngine.execute

        def stopping(self, name, *args):
            if name == phase:
                raise KeyboardInterrupt
            return whole(self, name, *args)

        with monkeypatch.context() as patch:
            patch.setattr(LocalEngine, "execute", stopping)
            with pytest.raises(KeyboardInterrupt):
                run(corpus, tmp_path / "out", *given)
        run(corpus, tmp_path / "out", *given)
        run(corpus, tmp_path / "other", *given)
        assert written(tmp_path / "out") == written(tmp_path / "other")
        shutil.rmtree(tmp_path / "other")
