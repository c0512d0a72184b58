from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DataCollatorForLanguageModeling

from tests.memorization import tiny
from unrote.corpus.beside import ReleasedView
from unrote.corpus.errors import ConfigError
from unrote.corpus.schema import REPLACEMENTS, SCORES, SPANS, TEXT
from unrote.corpus.tokenizer import own_copy
from unrote.memorization.goldfish import IGNORED, LabelMasker, dropped, masks
from unrote.memorization.goldfish_stage import GoldfishMasks
from unrote.memorization.tokenizer import tokenizer_of
from unrote.memorization.windows import tokenize, tokens_of

WORDS = np.random.default_rng(0).integers(0, 320, 20000)
IDS = st.lists(st.integers(0, 400), max_size=60).map(lambda ids: np.array(ids, dtype=np.int64))


@pytest.mark.parametrize("k", [2, 3, 4, 10])
def test_one_target_in_k_is_dropped(k):
    share = dropped(WORDS, k).mean()
    assert share == pytest.approx(1 / k, abs=4 * (1 / k * (1 - 1 / k) / WORDS.size) ** 0.5)


@given(IDS, IDS, st.integers(1, 20), st.integers(0, 1 << 70))
def test_only_the_h_tokens_before_decide(left, right, h, key):
    """A passage has the same mask behind any text, from its token h on."""
    passage = WORDS[:50]
    one, two = (dropped(np.concatenate([ids, passage]), 3, h, key) for ids in (left, right))
    assert (one[left.size + h :] == two[right.size + h :]).all()
    assert not one[:h].any()


def test_the_target_does_not_decide_and_order_does():
    base = WORDS[:2000]
    for index in range(20, 60):
        changed = base.copy()
        changed[index] += 1
        assert dropped(changed)[index] == dropped(base)[index]
        assert not np.array_equal(dropped(changed, 2)[index + 1 :], dropped(base, 2)[index + 1 :])
    flips = sum(
        dropped(np.append(base[i : i + 13], 0), 2)[13]
        != dropped(np.append(base[i : i + 13][::-1], 0), 2)[13]
        for i in range(200)
    )
    assert 60 < flips < 140


def test_a_token_of_number_zero_hides_nothing():
    ids = WORDS.copy()
    ids[::5] = 0
    assert dropped(ids).mean() == pytest.approx(0.25, abs=0.02)


def test_keys_give_unrelated_masks():
    both = Counter(zip(dropped(WORDS, 2, key=1), dropped(WORDS, 2, key=2), strict=True))
    assert all(count == pytest.approx(WORDS.size / 4, rel=0.1) for count in both.values())
    assert len(both) == 4
    assert np.array_equal(dropped(WORDS, key=7), dropped(WORDS, key=7))


STABLE = [14, 17, 18, 26, 28, 31, 33, 35, 38, 45, 48, 55]


def test_masks_are_stable():
    """They go into training runs: another version must not give others."""
    assert np.flatnonzero(dropped(np.arange(56))).tolist() == STABLE


def test_the_table_has_the_positions_of_each_text():
    texts = ["", *tiny.SENTENCES, "short"]
    words = tiny.tokenizer().backend_tokenizer
    table = masks(texts, words, k=3, h=5, key=9)
    assert table["doc"].to_pylist() == list(range(len(texts)))
    for row, text in zip(table.to_pylist(), texts, strict=True):
        ids = np.array(words.encode(text).ids, dtype=np.int64)
        assert row["tokens"] == ids.size
        assert row["positions"] == np.flatnonzero(dropped(ids, 3, 5, 9)).tolist()
    assert sum(map(len, table["positions"].to_pylist())) > 20


def test_only_within_what_is_risky():
    texts = list(tiny.SENTENCES)
    words = own_copy(tiny.tokenizer().backend_tokenizer)
    within = pa.table({"doc": [1, 1, 3], "start": [10, 40, 0], "end": [30, 50, 20]})
    whole = masks(texts, words, k=2, h=3)["positions"].to_pylist()
    part = masks(texts, words, k=2, h=3, within=within)["positions"].to_pylist()
    cut = tokenize(words, texts)
    expected = [set() for _ in texts]
    for row in within.to_pylist():
        first, last = tokens_of(cut, row["doc"], row["start"], row["end"])
        base = int(cut.offsets[row["doc"]])
        expected[row["doc"]] |= set(range(first - base, last - base)) & set(whole[row["doc"]])
    assert [set(p) for p in part] == expected
    assert part[1]
    assert part[0] == []


def collated(texts, bos=True, side="right"):
    words = tiny.tokenizer(bos=bos)
    words.pad_token = "<s>"  # as is usual: the pad token is one of the text's own
    words.padding_side = side
    collator = DataCollatorForLanguageModeling(words, mlm=False)
    features = [{"input_ids": words(text).input_ids} for text in texts]
    return words, collator, features


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bos", [False, True])
def test_a_collator_s_labels_are_those_of_the_table(side, bos):
    texts = list(tiny.SENTENCES)
    words, collator, features = collated(texts, True, side)
    if not bos:
        features = [{"input_ids": row["input_ids"][1:]} for row in features]
    masker = LabelMasker(collator, k=3, h=4, key=5, separators=[words.bos_token_id])
    batch = masker(features)
    plain = collator(features)
    table = masks(texts, words.backend_tokenizer, k=3, h=4, key=5)
    expected = [[i + bos for i in row] for row in table["positions"].to_pylist()]
    changed = (batch["labels"] != plain["labels"]).numpy()
    assert torch.equal(batch["input_ids"], plain["input_ids"])
    for row in range(len(texts)):
        lead = int(plain["attention_mask"][row].argmax())
        assert np.flatnonzero(changed[row]).tolist() == [i + lead for i in expected[row]]
    assert (batch["labels"].numpy()[changed] == IGNORED).all()


def test_positions_from_a_table():
    words, collator, features = collated(tiny.SENTENCES)
    positions = [[0, 2], [], [5], [1], [3, 4]]
    rows = [row | {"goldfish": at} for row, at in zip(features, positions, strict=True)]
    masker = LabelMasker(collator, column="goldfish", separators=[words.bos_token_id])
    changed = (masker(rows)["labels"] != collator(features)["labels"]).numpy()
    assert [np.flatnonzero(row).tolist() for row in changed] == [
        [i + 1 for i in at] for at in positions
    ]


def test_packed_texts_have_the_masks_that_they_have_alone():
    end = 999
    texts = [WORDS[:40], WORDS[100:130], WORDS[:40]]
    packed = np.concatenate([np.append(text, end) for text in texts])
    ids = torch.from_numpy(packed)[None]
    labels = LabelMasker(separators=[end], k=2).mask(ids, ids.clone())
    expected = np.concatenate([np.append(dropped(text, 2), False) for text in texts])
    assert ((labels[0] == IGNORED).numpy() == expected).all()
    assert expected[:40].sum() > 5


def test_a_model_trains_on_what_is_left():
    """The gradient of a dropped target is none: the loss is the mean over the others."""
    _, collator, features = collated(tiny.SENTENCES)
    batch = LabelMasker(collator, k=2, h=3)(features)
    network = tiny.model(bos=True).network
    with torch.no_grad():
        loss = network(**batch).loss
        logs = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        logs = logs[:, :-1].log_softmax(-1)
    labels = batch["labels"][:, 1:]
    kept = labels != IGNORED
    own = logs.gather(2, labels.clamp(min=0)[..., None])[..., 0]
    assert float(loss) == pytest.approx(-float(own[kept].mean()), rel=1e-5)


@pytest.mark.parametrize(("k", "h"), [(1, 13), (0, 13), (4, 0)])
def test_what_cannot_be_is_refused(k, h):
    for make in (lambda: dropped(WORDS, k, h), lambda: LabelMasker(k=k, h=h)):
        with pytest.raises(ConfigError, match=f"k = {k}, h = {h}"):
            make()


def test_no_collator():
    with pytest.raises(ConfigError, match="no collator"):
        LabelMasker()([])


def test_masks_of_a_corpus_s_risky_text(tmp_path):
    """Where a sequence stands in the released text, by its offsets in the input; not what went."""
    tiny.tokenizer(280).save_pretrained(tmp_path)
    words = tiny.tokenizer(280).backend_tokenizer
    text = tiny.SENTENCES[2]
    edits = {
        SPANS: [{"doc": 5, "start": 0, "end": 7, "witness": 1, "witness_start": 0}],
        REPLACEMENTS: [{"doc": 5, "field": 0, "start": 11, "end": 15, "text": "greatest"}],
        SCORES: [
            {"doc": 5, "start": 4, "end": 24, "risk_high": 0.6, "action": "keep"},
            {"doc": 5, "start": 40, "end": 50, "risk_high": 0.4, "action": "keep"},
            {"doc": 5, "start": 50, "end": 60, "risk_high": 0.6, "action": "remove-sequence"},
            {"doc": 5, "start": 60, "end": 70, "risk_high": None, "action": "keep"},
        ],
    }
    tagged = [
        (table.name, pa.RecordBatch.from_pylist(rows, table.schema))
        for table, rows in edits.items()
    ]
    texts = [{"doc": doc, "text": one} for doc, one in ((5, text), (6, ""), (8, text))]
    tagged += [("text", pa.RecordBatch.from_pylist([one], TEXT)) for one in texts]
    names = (SPANS.name, REPLACEMENTS.name)
    stage = GoldfishMasks(
        model=str(tmp_path), k=2, h=1, mask_key=3, threshold=0.5, view=ReleasedView(names, cut=True)
    )
    with stage.open() as run:
        rows = [row for _, b in run(iter(tagged)) for row in b.to_pylist()]
    released = text[7:11] + "greatest" + text[15:]
    within = pa.table({"doc": [0], "start": [0], "end": [24 - 7 + 4]})
    (first,) = masks([released], words, k=2, h=1, key=3, within=within).to_pylist()
    (whole,) = masks([text], words, k=2, h=1, key=3).to_pylist()
    assert rows == [
        first | {"doc": 5},
        {"doc": 6, "tokens": 0, "positions": []},
        whole | {"doc": 8, "positions": []},
    ]
    assert first["positions"]


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(ConfigError, match="has no tokenizer"):
        tokenizer_of(str(tmp_path))
