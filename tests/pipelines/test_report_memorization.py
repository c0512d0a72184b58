"""What a report says of memorization, in the model and in what its renderers make of it."""

import dataclasses
import io
import math
import re
from itertools import pairwise

import pyarrow as pa
import pytest
from rich.console import Console

from tests.pipelines.test_report import excerpt, manifest, no_example, tables
from unrote.corpus.errors import ConfigError, RunError
from unrote.corpus.schema import doc_key
from unrote.memorization.reference_model import ReferenceModel
from unrote.memorization.risk import CATEGORIES
from unrote.pipelines.policy import Policy, evaluate, results_of
from unrote.pipelines.report.html import (
    copies_of,
    histogram,
    less,
    parts_of,
    range_of,
    render,
    sizes,
)
from unrote.pipelines.report.memorization import between, expected
from unrote.pipelines.report.model import Report, build, excerpt_positions, from_json, to_json
from unrote.pipelines.report.terminal import print_summary, print_verdict
from unrote.pipelines.summary.scores import (
    EDGES,
    FEATURES,
    RISK_BINS,
    RISK_ENTITIES,
    RISK_FEATURES,
    RISK_REMOVED,
    RISK_SAMPLE,
    RISK_SIZES,
    RISK_SOURCES,
    RISK_TABLES,
    RISKIEST_ROWS,
    SCORED_BY,
    VIEWS,
)
from unrote.pipelines.summary.totals import TOTALS

REFERENCE = ReferenceModel("cpu", "digest", 4_600_000)


def source(name: str | None, words: int, *views: tuple[int, int, int]) -> dict:
    """views: sequences, expected extractable ones in millionths, ones at risk, of each view. The
    ends of the band are a tenth and twice as much; all are there to recite, but one.
    """
    row = {
        "doc": 0,
        "negative_expected_extracted_released": -1000 * views[2][1],
        "source_key": 0,
        "source": name,
        "memorized": 900 * views[2][1],
        "predictable": 100 * views[2][1],
    }
    row |= {"documents": 9, "words": words}
    kinds = ((views[2][0] - 1, views[2][1] // 2, views[2][2]), (0, 0, 0), (1, views[2][1] // 2, 0))
    parts = (*zip(VIEWS, views, strict=True), *zip(CATEGORIES, kinds, strict=True))
    for part, (sequences, number, at_risk) in parts:
        row |= {
            f"sequences_{part}": sequences,
            f"expected_low_{part}": 100 * number,
            f"expected_extracted_{part}": 1000 * number,
            f"expected_high_{part}": 2000 * number,
            f"at_risk_{part}": at_risk,
        }
    return row


def by(key: int, name: str | None, *numbers: int) -> dict:
    names = ("sequences", "tokens", "characters", "expected_extracted", "at_risk", "extractable")
    row = dict(zip(names, numbers, strict=True))
    row["expected_extracted"] *= 1000
    return {"doc": 0, "by_key": key, "scored_by": name} | row


def riskiest(risk: int, doc: int, start: int, end: int, *copies: int) -> dict:
    names = ("copies_input", "copies_deduplicated", "copies", "near")
    row = {
        "doc": 0,
        "category_key": int(risk < 500_000),
        "negative_risk": -1000 * risk,
        "document": doc,
        "start": start,
        "end": end,
        "text_hash": 1,
        "low": 20 * risk,
        "high": 1005 * risk,
        "memorized": 900 * risk,
        "predictable": 100 * risk if risk > 500_000 else -1,
    }
    row |= dict(zip(names, copies, strict=True)) | {"scored_by": "model"}
    return row | {"near": 1000 * copies[-1]}


def scored(others: bool = False) -> dict[str, pa.Table]:
    """Copies in `web` made 812.5 sequences extractable; cleaning leaves 12.25 in all."""
    sources = [
        source("web", 500_000, (900, 812_500_000, 700), (900, 40_000_000, 9), (900, 12_000_000, 4),
               (896, 8_000_000, 0)),
        source("books", 500_000, (100, 250_000, 1), (100, 250_000, 1), (100, 250_000, 1),
               (99, 1, 0)),
    ]  # fmt: skip
    sources += [source(None, 7, *[(5, 0, 0)] * 4)] * others
    bins = [("input", 13, 1000), ("input", 0, 3), ("released", 0, 999), ("released", 13, 1)]
    bins += [("deduplicated", 0, 1003), ("filtered", 0, 995)]
    rows = {
        RISK_SOURCES: sources,
        RISK_BINS: [
            {"doc": 0, "key": 0, "view": list(VIEWS).index(view), "bin": bin_, "sequences": count}
            for view, bin_, count in bins
        ],
        SCORED_BY: [
            by(0, "model", 300, 30_000, 90_000, 12_000_000, 5, 2),
            by(1, "text", 700, 70_000, 310_000, 250_000, 0, 0),
            by(2, None, 0, 0, 0, 0, 0, 0),
        ],
        RISK_SAMPLE: [
            {
                "doc": 0,
                "key": 0,
                "sequences": 50,
                "read": 40,
                "extractable": 1,
                "loss": 120_000_000_000,
            }
            | {"expected_extracted": 500_000_000}
        ],
        RISK_SIZES: [
            {
                "doc": 0,
                "size": n,
                "parameters": size,
                "expected_low": 10**8 * (n + 1),
                "expected_extracted": 10**9 * (n + 1),
                "expected_high": 10**10 * (n + 1),
                "sequences": 1000,
            }
            for n, size in enumerate((125_000_000, 1_000_000_000, 70_000_000_000))
        ],
        RISK_FEATURES: [
            {"doc": 0, "key": 8 * feature + at, "feature": feature, "bin": at}
            | {"sequences": 100 * (at + 1), "expected_extracted": 10**9 * at}
            for feature in range(len(FEATURES))
            for at in (0, 1, 3)
        ],
        RISK_TABLES: [
            {"doc": 0, "key": 0, "documents": 2, "sequences": 3, "at_risk": 1}
            | {"expected_low": 10**8, "expected_extracted": 10**9, "expected_high": 2 * 10**9}
        ],
        RISK_REMOVED: [{"doc": 0, "key": 0, "sequences": 5, "documents": 0}],
        RISKIEST_ROWS: [
            riskiest(900_000, doc_key(1, 7), 21, 400, 60, 3, 1, 14_400_000),
            riskiest(300_000, doc_key(1, 0), 0, 20, 0, -1, 1, 0),
        ],
        RISK_ENTITIES: [
            {"doc": 0, "type_key": 1, "type": "URL", "entities": 9, "measured": 8, "completed": 2}
        ],
    }
    return {t.name: pa.Table.from_pylist(found, schema=t.schema) for t, found in rows.items()}


def report(job: str = "clean", others: bool = False, **memorization: object) -> Report:
    settings = {"memorization": memorization}
    found = tables() | scored(others)
    return build(manifest(job, **settings), found, excerpt, no_example, reference_model=REFERENCE)


# The model.


def test_steps_add_up_over_sources():
    found = report().memorization
    assert found is not None
    assert [(s.view, s.sequences, s.expected_extracted, s.at_risk) for s in found.path] == [
        ("input", 1000, 812.75, 701),
        ("deduplicated", 1000, 40.25, 10),
        ("released", 1000, 12.25, 5),
    ]
    assert found.step("filtered").sequences == 995
    assert (found.parameters, found.device, found.sequences, found.unread) == (
        4_600_000, "cpu", 1000, 700
    )  # fmt: skip
    assert found.sample is not None
    assert found.sample.loss == 3


@pytest.mark.parametrize(
    ("settings", "views"),
    [
        ({"pii": {"enabled": False}}, ("input", "released")),
        ({"memorization": {"action": "remove-sequence"}}, tuple(VIEWS)),
        (
            {
                "pii": {"enabled": False},
                "dedup": {name: {"enabled": False} for name in ("exact", "near", "passages")},
            },
            ("input",),
        ),
    ],
)
def test_only_views_that_differ_are_shown(settings, views):
    found = build(
        manifest(**settings), tables() | scored(), excerpt, no_example, reference_model=REFERENCE
    )
    assert found.memorization is not None
    assert found.memorization.views == views


def test_the_histogram_has_every_bin():
    found = report().memorization
    assert found is not None
    assert [round(one.low * 1e9) for one in found.histogram] == list(EDGES)
    assert found.histogram[-1].high == 1
    assert found.histogram[0].sequences == {
        "input": 3, "deduplicated": 1003, "released": 999, "filtered": 995
    }  # fmt: skip


def test_the_riskiest_are_shown_as_the_input_has_them():
    first, second = report().memorization.riskiest
    assert (first.shard, first.row, first.risk, first.length) == ("books/b.jsonl.zst", 7, 0.9, 379)
    assert first.excerpt.startswith("All rights reserved.")
    assert len(first.excerpt) <= 201
    assert second.copies_deduplicated is None
    assert copies_of(first).startswith("60 copies in the input, 3 after deduplication, 1 released")
    assert copies_of(first).endswith("near copies worth 14.4")
    assert copies_of(second) == "not in the input in this form, 1 released"


def test_excerpts_are_requested():
    excerpts = excerpt_positions(tables() | scored(), {})
    assert (doc_key(1, 7), 21, 200) in excerpts
    assert (doc_key(1, 0), 0, 20) in excerpts
    assert excerpts == sorted(excerpts)


def test_no_excerpt_is_shown_where_none_is_given():
    found = build(
        manifest(),
        tables() | scored(),
        lambda *_: ("id", ""),
        no_example,
        reference_model=REFERENCE,
    )
    assert "<blockquote>" not in render(found)


def test_notes_say_what_the_numbers_are_worth():
    notes = " ".join(report().notes)
    assert "Risks are for a 7B model that reads this once in 1T tokens" in notes
    assert "families differ by more than an order of magnitude" in notes
    assert "extrapolated" not in notes
    assert "A token is 4.0 characters of this text" in notes
    beyond = " ".join(report(target={"parameters": "70B"}).notes)
    assert "70B parameters are outside what was counted, 70M to 12B" in beyond
    assert "The reference model read 300 sequences of 1,000" in notes
    assert "The others have a category and a risk by copies and text features alone" in notes
    assert "Of 40 sequences drawn at random the reference model completes 2.5" in notes
    assert "This text alone has" not in notes
    longer = " ".join(report(target={"tokens": "1M", "epochs": 11}).notes)
    assert "This text alone has 100,000 tokens, more than all" in longer
    off = build(manifest(memorization={"enabled": False}), tables(), excerpt, no_example)
    assert off.memorization is None
    assert "not scored (memorization.enabled is false)" in " ".join(off.notes)


def test_sequences_are_shown_by_what_makes_them_easy():
    found = report()
    assert [row.feature for row in found.memorization.features] == list(FEATURES)
    ranges = {
        row.feature: [range_of(row.feature, one).replace("\xa0", " ") for one in row.bins]
        for row in found.memorization.features
    }
    assert ranges["copies"] == ["1", "2", "6 to 10"]
    assert ranges["copies_near"] == ["none", "below 1", "5 or more"]
    assert ranges["repetition"] == ["below 10 %", "10 to 25 %", "50 to 75 %"]
    assert ranges["word_duplication"] == ["below 10", "10 to 100", "1,000 or more"]
    page = render(found)
    assert "By copies, overlap and wording" in page
    assert page.count('scope="rowgroup"') == len(FEATURES)


def test_heads_of_tables_are_named():
    (note,) = (one for one in report().notes if "CSV-like" in one)
    assert note.startswith("2 documents of the released text are tables")
    assert "here 3 sequences, 0.1 to 2.0 of them" in note


def test_report_json_round_trips():
    assert from_json(to_json(report())) == report()


def test_the_headline_of_score_says_how_much():
    assert report("score").headline == (
        "28,118 documents read: a 7B model that reads this once in 1T tokens: 1.2 to 24.5 of 1,000 "
        "sequences extractable."
    )


# What went for its risk, in the balance.


@pytest.mark.parametrize("whole", [False, True])
def test_what_went_for_its_risk_is_not_kept(whole):
    totals = tables()[TOTALS.name].to_pylist()
    numbers = {"rejected": 5, "bytes_rejected": 500}
    if whole:
        numbers |= {"rejected_at_risk": 3, "bytes_rejected_at_risk": 300}
    else:
        numbers |= {"documents_at_risk": 3, "bytes_at_risk": 300}
    totals[0] |= numbers
    found = {TOTALS.name: pa.Table.from_pylist(totals, schema=TOTALS.schema)}
    before = build(manifest(), tables(), excerpt, no_example).total
    after = build(manifest(), tables() | found, excerpt, no_example).total
    assert (after.at_risk.documents, after.at_risk.bytes) == (3, 300)
    assert after.rejected.documents == (2 if whole else 5)
    assert before.kept.documents - after.kept.documents == 5
    assert before.kept.bytes - after.kept.bytes == (500 if whole else 800)
    parts = sum(part.bytes for part in after.parts.values()) + after.rejected.bytes
    assert parts + after.at_risk.bytes + after.kept.bytes == after.bytes


# Pages.


def test_the_page_tells_it():
    page = render(report(action="remove-sequence"))
    for part in (
        "Memorization risk",
        "A 7B model that reads this once in 1T tokens: 0.8 to 16.0 of 995 sequences extractable",
        ">81.3 to 1,626<",
        ">1.2 to 24.5<",
        "The riskiest: recite",
        "4.6 million parameters",
    ):
        assert part in page
    assert "5 sequences were removed" in page
    assert page.count("<table") == page.count("<caption")
    assert len(set(re.findall(r' id="(\w+)"', page))) == len(re.findall(r' id="(\w+)"', page))


def test_bars_of_the_histogram_are_inside_and_apart():
    found = report().memorization
    picture = histogram(found)
    assert len(picture.bars) == sum(
        one.sequences[view] > 0 for one in found.histogram for view in found.views
    )
    ends = sorted((x, x + width) for _, x, width, _ in picture.bars)
    assert all(0 <= x < end <= 100 for x, end in ends)
    assert all(end <= after for (_, end), (after, _) in pairwise(ends))
    assert all(0 < height <= 100 for *_, height in picture.bars)
    assert max(picture.bars, key=lambda bar: bar[3])[0] == "deduplicated"


def test_what_a_risk_is_made_of():
    first, second = report().memorization.riskiest
    said = parts_of(first).replace("\xa0", " ")
    assert said == "1.80 % to 90.5 %, by its copies 81.0 %, without having seen it 9.00 %"
    assert parts_of(second).replace("\xa0", " ") == "0.600 % to 30.1 %"
    assert (first.category, second.category) == ("recite", "reconstruct")


def test_the_picture_of_other_targets():
    found = report().memorization
    picture = sizes(found)
    assert [tick.text for tick in picture.across] == ["125M", "1B", "70B"]
    assert [tick.text for tick in picture.up] == ["0.1", "1", "10", "100"]
    points = [tuple(map(float, point.split(","))) for point in picture.band.split()]
    assert len(points) == 6
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in points)
    assert all(high[1] < low[1] for high, low in zip(points[:3], points[:2:-1], strict=True))
    x, _ = picture.here
    assert picture.across[1].at < x < picture.across[2].at
    assert "vector-effect" in render(report())
    assert sizes(report(calibration="risk.json").memorization) is None
    assert sizes(report(target={"parameters": "2M"}).memorization).here is None


def test_bands():
    assert between(1.25, 1234.4) == "1.2 to 1,234"
    assert between(0.31, 0.32) == "0.3"
    assert between(0.01, 3).replace("\xa0", " ") == "< 0.1 to 3.0"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.01, "< 0.1"), (0.31, "0.3"), (99.94, "99.9"), (99.96, "100"), (1234.4, "1,234")],
)
def test_expected_numbers(number, text):
    assert expected(number).replace("\xa0", " ") == text


def test_differences():
    assert less(40, 80).replace("\xa0", " ") == "50.0 % less"
    assert less(90, 80).replace("\xa0", " ") == "12.5 % more"
    assert less(80, 80) == less(1, 0) == ""


def test_the_terminal_tells_it():
    console = Console(file=io.StringIO(), width=80, highlight=False)
    print_summary(report(), "", console)
    text = console.file.getvalue()
    assert re.search(r"input +81\.3 +813 +1,626 +701 +1,000", text)
    assert re.search(r"released +1\.2 +12\.2 +24\.5 +5 +1,000", text)
    assert re.search(r"  recite +0\.6 +6\.1 +12\.2 +5 +998", text)
    assert "A 7B model that reads this once in 1T tokens: 1.2 to 24.5 of 1,000 sequences" in text


# The gate.


def measured(*rules: dict, others: bool = False) -> list[tuple]:
    policy = Policy.model_validate({"rule": [rule | {"limit": 10} for rule in rules]})
    return [(r.measure, r.source, r.measured) for r in results_of(policy, report("gate", others))]


def test_rules_about_memorization():
    assert measured(
        {"measure": "expected_extracted"},
        {"measure": "expected_extracted", "band": "middle"},
        {"measure": "expected_extracted", "view": "input", "band": "low"},
        {"measure": "expected_extracted", "category": "recollect"},
        {"measure": "sequences_at_risk", "category": "recite"},
        {"measure": "extracted_per_million_words", "source": "web"},
        {"measure": "sequences_at_risk", "source": "web"},
        {"measure": "sequences_at_risk", "source": "books"},
        {"measure": "at_risk_per_million_words", "view": "deduplicated"},
    ) == [
        ("expected_extracted", None, 24.5),
        ("expected_extracted (middle)", None, 12.25),
        ("expected_extracted (input) (low)", None, 81.275),
        ("expected_extracted of what is there to recollect", None, 12.25),
        ("sequences_at_risk of what is there to recite", None, 5),
        ("extracted_per_million_words", "web", 48),
        ("sequences_at_risk", "web", 4),
        ("sequences_at_risk", "books", 1),
        ("at_risk_per_million_words (deduplicated)", None, 10),
    ]


def test_of_a_source_without_sequences_nothing_is_known():
    gone = scored()
    gone[RISK_SOURCES.name] = gone[RISK_SOURCES.name].slice(0, 1)
    found = build(manifest("gate"), tables() | gone, excerpt, no_example, reference_model=REFERENCE)
    rule = {"measure": "extracted_per_million_words", "source": "books", "limit": 0}
    (result,) = results_of(Policy.model_validate({"rule": [rule]}), found)
    assert (result.measured, result.passed) == (None, False)
    assert "no sequence" in result.reason


@pytest.mark.parametrize("by", ["model", None])
def test_a_model_that_read_nothing_passes_no_gate(by):
    """No sequence of the text has a token, or none was read: 0 of 0 is not 0."""
    nothing = scored()
    rows = nothing[SCORED_BY.name].to_pylist()
    if by is None:
        kept = [rows[0] | {"scored_by": None, "by_key": 2, "sequences": 9, "tokens": 0}]
    else:
        kept = [row for row in rows if row["scored_by"] != by]
    nothing[SCORED_BY.name] = pa.Table.from_pylist(kept, SCORED_BY.schema)
    found = build(
        manifest("gate"), tables() | nothing, excerpt, no_example, reference_model=REFERENCE
    )
    why = "read none of" if by else "found no token"
    assert any(why in note for note in found.notes)
    results = results_of(
        Policy.model_validate({"rule": [{"measure": "sequences_at_risk", "limit": 9}]}), found
    )
    assert [(one.measured or 0, one.passed) for one in results] == [(0, False), (0, False)]
    assert all(why in one.reason for one in results)
    other = Policy.model_validate({"rule": [{"measure": "near_share", "limit": 1}]})
    assert not evaluate(other, found).passed


def test_a_source_that_is_not_listed_does_not_pass():
    gone = scored(others=True)
    gone[RISK_SOURCES.name] = gone[RISK_SOURCES.name].filter(pa.array([True, False, True]))
    found = build(manifest("gate"), tables() | gone, excerpt, no_example, reference_model=REFERENCE)
    rule = {"measure": "expected_extracted", "source": "books", "limit": 9}
    with pytest.raises(RunError, match="'books' is not known"):
        results_of(Policy.model_validate({"rule": [rule]}), found)


def test_what_was_not_scored_cannot_be_limited():
    policy = Policy.model_validate({"rule": [{"measure": "sequences_at_risk", "limit": 1}]})
    off = build(manifest("gate", memorization={"enabled": False}), tables(), excerpt, no_example)
    with pytest.raises(ConfigError, match=r"while memorization\.enabled is false"):
        results_of(policy, off)


def test_only_these_have_views():
    for key, value, nouns in (
        ("view", "input", "views"),
        ("category", "recite", "categories"),
        ("band", "low", "band"),
    ):
        rule = {"measure": "near_share", "limit": 0.1, key: value}
        why = rf"near_share has no {nouns}\. Leave {key} out; expected"
        with pytest.raises(ValueError, match=why):
            Policy.model_validate({"rule": [rule]})
    rule = {"measure": "expected_extracted", "limit": 1, "view": "input", "category": "recite"}
    with pytest.raises(ValueError, match="categories are those of the released text"):
        Policy.model_validate({"rule": [rule]})


def test_a_model_that_guesses_is_said_to():
    """Its loss on the sample is not below ln of its vocabulary."""
    guessing = scored()
    rows = guessing[RISK_SAMPLE.name].to_pylist()
    loss = rows[0]["loss"] / 1e9 / rows[0]["read"]
    for vocabulary, said in ((int(math.exp(loss)), True), (int(math.exp(loss)) + 2, False)):
        model = dataclasses.replace(REFERENCE, vocabulary=vocabulary)
        found = build(
            manifest("gate"), tables() | guessing, excerpt, no_example, reference_model=model
        )
        assert any("no better than chance" in note for note in found.notes) == said
        assert any("the reference model completes" in note for note in found.notes) != said
        verdict = evaluate(Policy.model_validate({"minimum_documents": 1}), found)
        out = io.StringIO()
        print_verdict(verdict, "", Console(file=out, width=200))
        assert ("no better than chance" in out.getvalue()) == said
