"""Near-duplicates are planted in what is released, and `verify --recall` counts them."""

import io
import random
import re
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.command import unrote
from tests.pipelines.test_verify import Run, line
from unrote.corpus.errors import UsageError
from unrote.corpus.imports import block_imports
from unrote.pipelines.verify import Verdict, print_verdict, recall, verify
from unrote.pipelines.verify.intervals import share_interval, total_interval
from unrote.pipelines.verify.opening import open_run
from unrote.pipelines.verify.state import Texts

PLANTED = 5
"""A shard of its own."""


def text(seed: int, words: int = 60) -> str:
    drawn = random.Random(seed)
    return " ".join(f"w{drawn.randrange(10**6)}" for _ in range(words))


def near(seed: int, words: int = 60) -> str:
    """Similar to `text(seed)`: five shingles of each differ."""
    head, *rest = text(seed, words).split()
    return " ".join([head, *rest[:-1], "changed"])


class Planted(Run):
    """The right run of test_verify with one more shard, of which all that stays is released."""

    def plant(
        self, texts: list[str], twins: dict[int, int] | None = None, said: Any = None
    ) -> None:
        """twins: documents that were removed -> the one that each is similar to."""
        twins = twins or {}
        self.shard("f.jsonl", "jsonl", "", "\n".join(line(text=t) for t in texts).encode())
        self.manifest["input"]["slices"][1]["cuts"].append(
            {"shard": PLANTED, "start": 0, "end": 9, "row": 0}
        )
        documents, duplicates = self.rows("documents"), self.rows("duplicates")
        for row, one in enumerate(texts):
            documents.append(
                {
                    "doc": PLANTED << 36 | row,
                    "id": f"f.jsonl#{row}",
                    "shard": "f.jsonl",
                    "row": row,
                    "source": "poems",
                    "bytes": len(one),
                    "words": len(one.split()),
                }
            )
        for doc, twin in twins.items():
            keys = {"doc": PLANTED << 36 | doc, "twin": PLANTED << 36 | twin}
            ours, theirs = set(_grams(texts[doc])), set(_grams(texts[twin]))
            similarity = len(ours & theirs) / len(ours | theirs)
            duplicates.append({"reason": "near", "similarity": similarity, **keys})
        self.table("documents", documents)
        self.table("duplicates", duplicates)
        kept = [one for row, one in enumerate(said or texts) if row not in twins]
        self.data(PLANTED, "f.jsonl", "".join(line(text=t) + "\n" for t in kept).encode())

    def recall(self, **options: Any) -> Verdict:
        self.commit()
        return verify(str(self.out), recall=True, **options)


def _grams(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return list(zip(*(words[at:] for at in range(5)), strict=False))


@pytest.fixture
def run(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def printed(verdict: Verdict, capsys: pytest.CaptureFixture[str]) -> str:
    print_verdict(verdict)
    return capsys.readouterr().out


def test_pairs_that_are_left_are_found_and_named(run, capsys):
    run.plant([text(1), text(2), near(1), text(3), near(3)])
    verdict = run.recall()
    found = verdict.recall
    assert found.documents == 11
    assert found.compared.found == found.released.found == 2
    assert found.compared.low == 2
    assert found.pairs == (
        "f.jsonl#0 and f.jsonl#2: 0.9649",
        "f.jsonl#3 and f.jsonl#4: 0.9649",
    )
    said = printed(verdict, capsys)
    assert re.search(r"recall +pairs left +2 of 11\n", said)
    assert found.pairs[1] in said
    assert "w1" not in said, "no text is shown"


def test_more_than_the_run_allows_breaks_its_promise(run, capsys):
    run.plant([one for seed in range(9) for one in (text(seed), near(seed))])
    verdict = run.recall()
    assert (verdict.recall.holds, verdict.ok) == (False, False)
    assert not [check for check in verdict.checks if check.failed]
    assert "FAILED  recall" in (said := printed(verdict, capsys))
    assert "At least one promise is broken." in said
    assert unrote("verify", run.out, "--recall").status == 1
    assert unrote("verify", run.out).status == 0


def test_what_was_removed_counts_for_it(run):
    """Two of forty-two are within what a chance of 5 % explains."""
    texts = [one for seed in range(42) for one in (text(seed), near(seed))]
    run.plant(texts, twins={2 * n + 1: 2 * n for n in range(1, 40)})
    found = run.recall().recall
    assert (found.compared.found, found.removed) == (3, 40)  # one is in test_verify's run
    assert found.holds
    assert found.missed_within[0] < 3 / 43 < found.missed_within[1]


def test_what_was_removed_is_seen_as_what_is_left_is(run):
    """Where both documents of a pair are in the sample."""
    texts = [one for seed in range(42) for one in (text(seed), near(seed))]
    run.plant(texts, twins={2 * n + 1: 2 * n for n in range(42)})
    found = run.recall(sample=24).recall
    assert found.share == 24 / 48
    kept = [doc for doc in range(84) if recall._draw(PLANTED << 36 | doc) < 1 << 63]
    ours = sum(2 * n in kept and 2 * n + 1 in kept for n in range(42))
    assert found.removed - ours in (0, 1)  # one more is in test_verify's run
    assert 3 < ours < 18


def test_none_found_is_said_with_a_bound(run, capsys):
    run.plant([text(seed) for seed in range(20)])
    verdict = run.recall()
    assert verdict.ok
    assert verdict.recall.compared.found == 0
    assert verdict.recall.compared.high == pytest.approx(3.689 / 0.99, rel=1e-3)
    assert "no pair found, which is no proof: at most 3.7 are left" in printed(verdict, capsys)
    assert unrote("verify", run.out, "--recall").status == 0


def test_what_only_the_release_has_in_common_is_told_apart(tmp_path):
    """What told two documents apart was cut. The promise is of the texts before that."""
    same = text(9, 25)
    texts = [text(1), text(2), f"{text(1)} {same}", f"{text(2)} {same} other"]
    corpus = tmp_path / "in.jsonl"
    corpus.write_text("".join(line(text=one) + "\n" for one in texts))
    long = "dedup.passages.min_bytes=300"
    assert unrote("dedup", corpus, "-o", tmp_path / "out", "-q", "--set", long).status == 0
    found = verify(str(tmp_path / "out"), recall=True).recall
    assert (found.compared.found, found.released.found) == (0, 1)
    assert found.pairs == ("in.jsonl#2 and in.jsonl#3: 0.9545",)
    assert found.holds


def test_not_measured_without_a_promise_or_a_pair(run, capsys):
    run.plant([text(1), near(1)])
    run.settings["dedup"]["near"]["enabled"] = False
    verdict = run.recall()
    assert (verdict.ok, verdict.recall.holds, verdict.recall.compared.found) == (True, None, 1)
    said = printed(verdict, capsys)
    assert "unknown recall" in said
    assert "the run did not look for near-duplicates" in said
    assert "Every promise that was measured holds." in said
    assert unrote("verify", run.out, "--recall").status == 2


def test_not_measured_where_there_is_no_pair(tmp_path):
    corpus = tmp_path / "in.jsonl"
    corpus.write_text(line(text=text(1)) + "\n")
    assert unrote("dedup", corpus, "-o", tmp_path / "out", "-q").status == 0
    verdict = verify(str(tmp_path / "out"), recall=True)
    assert (verdict.ok, verdict.recall.holds) == (True, None)
    assert verdict.recall.unmeasured.startswith("1 released document ")
    done = unrote("verify", tmp_path / "out", "--recall")
    assert (done.status, "no pair" in done.out) == (2, True)


def test_nothing_released_is_not_measured(run):
    run.commit()
    opened = open_run(str(run.out), Texts(io.BytesIO()), lambda *_: None)
    nothing = recall.measured(opened, recall.open_sample(opened, 10, io.BytesIO()))
    assert nothing.documents == 0
    assert nothing.holds is None


def test_a_gate_has_the_texts_that_were_compared(tmp_path):
    corpus = tmp_path / "in.jsonl"
    corpus.write_text("".join(line(text=text(seed)) + "\n" for seed in range(3)))
    kept = ["--set", "output.data=false"]
    assert unrote("dedup", corpus, "-o", tmp_path / "out", "-q", *kept).status == 0
    found = verify(str(tmp_path / "out"), recall=True).recall
    assert (found.documents, found.released) == (3, None)


def test_what_was_not_released_right_is_left_out(run):
    texts = [text(1), near(1), text(2)]
    run.plant(texts, said=[text(1), text(7), text(2)])
    verdict = run.recall()
    assert not verdict.ok
    assert (verdict.recall.compared.found, verdict.recall.released.found) == (1, 0)


def test_without_datasketch_in_one_line(run, monkeypatch):
    run.commit()
    monkeypatch.delitem(sys.modules, "datasketch", raising=False)
    with block_imports("datasketch"):
        done = unrote("verify", run.out, "--recall")
    assert done.status == 2
    assert "verify --recall needs datasketch" in done.err
    assert "pip install 'unrote[datasketch]'" in done.err


def test_a_sample_of_nothing_that_was_asked_for(run):
    run.commit()
    done = unrote("verify", run.out, "--sample", "5")
    assert (done.status, "--recall" in done.err) == (2, True)
    with pytest.raises(UsageError, match="sample 1: "):
        run.recall(sample=1)


class TestSample:
    def sample(self, run: Planted, released: int, size: int) -> recall.Sample:
        run.commit()
        opened = open_run(str(run.out), Texts(io.BytesIO()), lambda *_: None)
        return recall.Sample(opened.rules, released, size, io.BytesIO())

    def test_its_size_and_what_it_says_of_the_whole(self, run):
        """400 pairs among 1,000 documents; a sample of 500 has 100 of them, give or take 20."""
        texts = [text(n % 600, 8) + (" so" if n >= 600 else "") for n in range(1000)]
        sample = self.sample(run, 1000, 500)
        sample._rules = replace(sample._rules, ngram=1)
        for doc, one in enumerate(texts):
            if sample.holds(doc):
                sample.add(doc, one, recall.COMPARED)
        assert sample.share == 0.5
        assert 420 < len(sample.docs) < 580
        left = recall._remaining(recall._clusters(sample.pairs(recall.COMPARED)), 0.5)
        assert left.estimate == 4 * left.found
        assert left.low < 400 < left.high

    def test_many_pairs_make_it_smaller(self, run, monkeypatch):
        """Documents that are all alike: what is left of them is still a random sample."""
        monkeypatch.setattr(recall, "COMPARISONS", 500)
        sample = self.sample(run, 0, 10)
        for doc in range(400):
            if sample.holds(doc):
                sample.add(doc, text(1, 8), recall.COMPARED | recall.RELEASED)
        assert sample.share < 0.2
        assert all(map(sample.holds, sample.docs))
        held = [doc for doc in range(400) if sample.holds(doc)]
        assert sorted(sample.docs) == held
        found = [pair[:2] for pair in sample.pairs(recall.COMPARED)]
        assert sorted(found) == list(combinations(held, 2))

    @pytest.mark.parametrize("threshold", [0.01, 0.1, 0.5, 0.8, 0.95, 1.0])
    def test_its_index_misses_few(self, threshold):
        number, rows = recall.bands(threshold)
        assert (1 - threshold**rows) ** number <= recall.MISSED
        assert number * rows <= 1024

    def test_characters(self, run):
        run.settings["dedup"]["near"].update(unit="character", ngram=3)
        run.plant(["abcdefghijklmnopqrst", "abcdefghijklmnopqrstu"])
        assert run.recall().recall.compared.found == 1


class TestIntervals:
    @pytest.mark.parametrize(
        ("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)]
    )
    def test_pairs_apart_have_the_exact_interval_of_a_poisson_count(self, count, low, high):
        """Garwood's table."""
        assert total_interval([1] * count, 1.0, 1.0) == pytest.approx((low, high), rel=1e-3)

    @pytest.mark.parametrize(
        ("some", "others", "low", "high"),
        [(0, 10, 0, 0.3085), (1, 19, 0.0013, 0.2487), (10, 0, 0.6915, 1), (0, 0, 0, 1)],
    )
    def test_shares_of_what_is_apart_have_that_of_clopper_and_pearson(
        self, some, others, low, high
    ):
        found = share_interval([1] * some, others)
        assert found == pytest.approx((low, high), rel=0.03, abs=1e-4)

    def test_clusters_say_less(self):
        apart, together = total_interval([1] * 12, 1, 1), total_interval([6, 6], 1, 1)
        assert together[0] < apart[0] < 12 < apart[1] < together[1]
        apart, together = share_interval([1] * 12, 90), share_interval([6, 6], 90)
        assert together[0] < apart[0] < 12 / 102 < apart[1] < together[1]

    def test_they_hold_the_truth_as_often_as_they_say(self):
        """Pairs in clusters of three documents, sampled a thousand times: 95 %, at least nearly."""
        drawn, share, held = random.Random(7), 0.3, 0
        for _ in range(1000):
            seen = [sum(drawn.random() < share for _ in range(3)) for _ in range(200)]
            clusters = [n * (n - 1) // 2 for n in seen if n > 1]
            low, high = total_interval(clusters, share**-2, share**-2)
            held += low <= 600 <= high
        assert held >= 930
