import math

import numpy as np
import pyarrow as pa
import pytest

from tests.memorization import reference, tiny
from unrote.corpus.hashing import random_numbers
from unrote.memorization.completion import GROUP_SIZE, PROMPTS, Complete, sample
from unrote.memorization.config import Models
from unrote.memorization.entities import (
    ENTITIES,
    Context,
    Entity,
    completions,
    shuffled,
    with_context,
)
from unrote.memorization.forward import uses_bos
from unrote.memorization.windows import tokenize, tokens_of, window_starts

TEXTS = [
    "Please write to Ishmael Quick at once, and to nobody else.",
    *tiny.SENTENCES,
    "Ishmael begins this one, of the age of wisdom and of the sea.",
]


def spans(*found):
    doc, start, end = zip(*found, strict=True) if found else ([], [], [])
    return pa.table({"doc": pa.array(doc, pa.int64()), "start": start, "end": end})


def span_of(doc, part):
    start = TEXTS[doc].index(part)
    return doc, start, start + len(part)


def entity_risk(
    model, texts, entities, *, context=50, unrelated=32, background=None, seed=0, bos=None
):
    """Rows of ENTITIES for the entities (doc, start, end) of some texts, each in at most `context`
    tokens before it and after `unrelated` contexts from other texts, or from `background`.
    """
    tokens = tokenize(model.tokenizer, texts)
    source = texts if background is None else background
    pool = shuffled(contexts_of(model, source, context, background is None), seed)
    with_bos = uses_bos(model, bos)
    rows = entities.to_pylist()
    found = []
    for row in rows:
        span = (row["start"], row["end"])
        ids, before = with_context(tokens, texts, row["doc"], span, context)
        found.append(Entity(texts[row["doc"]][slice(*span)], ids, before, bos=with_bos))
        found[-1].choose(pool, unrelated, model.context - with_bos)
    measured = completions(model, found, bos, 0)
    return pa.Table.from_pylist([r | a for r, a in zip(rows, measured, strict=True)], ENTITIES)


def contexts_of(model, texts, context, own_texts):
    """All contexts of `context` tokens (shorter texts: all of theirs)."""
    tokens = tokenize(model.tokenizer, texts)
    found = []
    for doc in range(len(texts)):
        begin, stop = int(tokens.offsets[doc]), int(tokens.offsets[doc + 1])
        for first in (window_starts(stop - begin, context, context) + begin).tolist():
            last = min(first + context, stop)
            start = tokens.ends[first - 1] if first > begin else 0
            chars = texts[doc][start : tokens.ends[last - 1]]
            found.append(Context(doc if own_texts else -1, chars, tokens.ids[first:last]))
    return found


def log_after(model, before, entity):
    """ln of the entity's probability after `before`, from single logits in float64."""
    bos = model.adds_bos
    rows = reference.logits_of(model, [*before, *entity], bos)[len(before) :]
    return sum(reference.log_softmax(r)[t] for r, t in zip(rows, entity, strict=True))


@pytest.mark.parametrize("bos", [False, True])
def test_probability_over_the_mean_of_unrelated_contexts(bos):
    model = tiny.model(bos)
    found = [span_of(0, "Ishmael Quick"), span_of(2, "Ishmael"), span_of(4, "any person")]
    table = entity_risk(model, TEXTS, spans(*found), context=6, unrelated=1000, seed=3)
    assert table.schema == ENTITIES
    cut = tokenize(model.tokenizer, TEXTS)
    for row, (doc, start, end) in zip(table.to_pylist(), found, strict=True):
        first, last = tokens_of(cut, doc, start, end)
        begin = max(first - 6, int(cut.offsets[doc]))
        entity = cut.ids[first:last].tolist()
        own = log_after(model, cut.ids[begin:first].tolist(), entity)
        others = []
        for other in range(len(TEXTS)):
            base, stop = int(cut.offsets[other]), int(cut.offsets[other + 1])
            firsts = [*range(0, stop - base - 6, 6), stop - base - 6]
            for at in firsts:
                ids = cut.ids[base + at : base + at + 6].tolist()
                chars = TEXTS[other][cut.ends[base + at - 1] if at else 0 : cut.ends[base + at + 5]]
                if other != doc and TEXTS[doc][start:end] not in chars:
                    others.append(log_after(model, ids, entity))
        prior = math.log(np.mean(np.exp(others)))
        assert row["contexts"] == len(others)
        assert row["tokens"] == len(entity)
        assert row["log_probability"] == pytest.approx(own, abs=1e-4)
        assert row["log_prior"] == pytest.approx(prior, abs=1e-4)
        assert row["log_ratio"] == pytest.approx(own - prior, abs=1e-4)
        assert row["reason"] is None


def test_an_entity_s_measures_do_not_depend_on_the_others():
    model = tiny.model()
    found = [span_of(0, "Quick"), span_of(2, "Ishmael"), span_of(4, "person"), span_of(3, "worst")]
    together = entity_risk(model, TEXTS, spans(*found), unrelated=4).to_pylist()
    for row, one in zip(together, found, strict=True):
        (alone,) = entity_risk(model, TEXTS, spans(one), unrelated=4).to_pylist()
        assert alone.pop("reason") is row.pop("reason") is None
        assert alone == pytest.approx(row, rel=1e-5)


def test_the_seed_chooses_contexts_and_background_can_be_given():
    model = tiny.model()
    found = spans(span_of(0, "Quick"))
    answers = {
        entity_risk(model, TEXTS, found, unrelated=3, seed=seed)["log_prior"][0].as_py()
        for seed in (0, 0, 1, 2)
    }
    assert len(answers) == 3
    row = entity_risk(model, TEXTS, found, background=["some other text", "Quick"]).to_pylist()[0]
    assert row["contexts"] == 1


def test_reasons():
    model = tiny.model(context=24)
    found = [span_of(6, "Ishmael"), (1, 3, 3), span_of(1, TEXTS[1][4:])]
    table = entity_risk(model, TEXTS, spans(*found), context=8)
    assert table["reason"].to_pylist() == ["no context", "no tokens", "longer than the model reads"]
    for name in ("log_probability", "log_prior", "log_ratio"):
        assert table[name].null_count == 3
    alone = entity_risk(tiny.model(), TEXTS[:1], spans(span_of(0, "Quick")))
    assert alone["reason"].to_pylist() == ["no unrelated context"]
    begun = entity_risk(tiny.model(bos=True), TEXTS, spans(span_of(6, "Ishmael")))
    assert begun["reason"].to_pylist() == [None]


def test_no_entities():
    assert entity_risk(tiny.model(), TEXTS, spans()).num_rows == 0


def test_unrelated_contexts_are_of_the_same_batch_group(tmp_path):
    """Not from the entity's own document, nor with its characters, nor from another batch group."""
    tiny.save(tmp_path)
    given = [
        (1, 0, "Quick", "Ishmael "),
        (1, 0, "sea", "I went to the "),
        (2, 0, "Quick", "Doctor "),
        (3, 0, "dog", "the Quick and lazy "),
        (4, 0, "age", ""),
        (5, 1, "wisdom", "the age of "),
        (6, 2, "best", "the "),
        (7, 2, "worst", "the "),
    ]
    words = tiny.tokenizer().backend_tokenizer
    rows = [
        {
            "doc": doc,
            "start": 10 * i,
            "end": 10 * i + len(text),
            "type": "PERSON",
            "batch_group": group,
        }
        | {"text": text, "ids": words.encode(text).ids}
        | {"context": before, "context_ids": words.encode(before).ids}
        for i, (doc, group, text, before) in enumerate(given)
    ]
    batches = [pa.RecordBatch.from_pylist(part, PROMPTS) for part in (rows[:2], rows[2:])]
    with Complete(Models(str(tmp_path), device="cpu")).open() as run:
        answers = [r for _, b in run(("prompts", b) for b in batches) for r in b.to_pylist()]
    assert [(r["doc"], r["contexts"], r["reason"]) for r in answers] == [
        (1, 1, None),
        (1, 2, None),
        (2, 2, None),
        (3, 3, None),
        (4, 4, "no context"),
        (5, 0, "no unrelated context"),
        (6, 0, "no unrelated context"),
        (7, 0, "no unrelated context"),
    ]
    model = tiny.model()
    own = log_after(model, words.encode("Ishmael ").ids, words.encode("Quick").ids)
    other = log_after(model, words.encode("Doctor ").ids, words.encode("Quick").ids)
    assert answers[0]["log_probability"] == pytest.approx(own, abs=1e-3)
    assert answers[0]["log_prior"] == pytest.approx(other, abs=1e-3)
    assert all((r["log_ratio"] is None) == (r["reason"] is not None) for r in answers)


def test_a_sample_of_about_as_many():
    random = random_numbers(np.arange(100_000), np.zeros(100_000, dtype=np.int64))
    for most, groups in ((100_000, 98), (200_000, 98), (5000, 5), (10, 1)):
        selection = sample(100_000, most)
        chosen, _ = selection.of(np.zeros_like(random), random)
        count = min(most, 100_000)
        assert selection.groups == groups
        assert chosen.sum() == pytest.approx(count, abs=5 * (count - count**2 / 1e5) ** 0.5)
        sizes = np.bincount(selection.group_of(random[chosen]), minlength=groups)
        assert sizes.max() < 1.2 * GROUP_SIZE
    assert sample(0, 10).groups == 1
