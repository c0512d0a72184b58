import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.memorization import reference, tiny
from unrote.corpus.errors import ConfigError, RunError
from unrote.corpus.pretrained import plan
from unrote.memorization import forward, measures
from unrote.memorization.forward import reduce, statistics
from unrote.memorization.model import prepare
from unrote.memorization.windows import sequences, tokenize

TEXTS = [*tiny.SENTENCES, "a", "", "ab", *[s[i:] for i, s in enumerate(tiny.SENTENCES, 5)]]

TOLERANCE = 1e-5
"""Between batches of different composition, relative, in float32 on a CPU."""


def windows(model, texts=TEXTS, prefix=10, suffix=8):
    return sequences(tokenize(model.tokenizer, texts), prefix, suffix)


def arrays(stats):
    """What is measured of each token, and ln p_z of each suffix."""
    fields = {field.name: getattr(stats, field.name) for field in dataclasses.fields(stats)}
    fields["log_q"] = measures.log_pz(stats.log_q, stats.suffix, stats.offsets[1:])
    return list(fields.values())


@pytest.mark.parametrize(
    ("architecture", "bos", "top_k", "temperature"),
    [
        ("llama", False, 40, 1.0),
        ("llama", True, 150, 0.7),
        ("neox", True, 0, 2.0),
        ("neox", False, 1, 1.0),
    ],
)
def test_each_token_as_in_the_slow_reference(architecture, bos, top_k, temperature):
    words = tiny.tokenizer(bos=bos)
    model = prepare("tiny", getattr(tiny, architecture)(len(words)), words)
    found = windows(model, TEXTS[2:8])
    stats = statistics(model, found, top_k=top_k, temperature=temperature)
    finite = 0
    for i in range(len(found)):
        ids = found.ids[found.offsets[i] : found.offsets[i + 1]].tolist()
        rows = reference.logits_of(model, ids, bos)
        at = stats.offsets[i]
        log_pz = 0
        for index, (row, target) in enumerate(zip(rows, ids, strict=True)):
            if row is None:
                continue
            logs = np.array(reference.log_softmax(row))
            assert stats.logprob[at] == pytest.approx(logs[target], abs=1e-4)
            assert stats.hit[at] == reference.hit(row, target)
            mean = (np.exp(logs) * logs).sum()
            assert stats.mean[at] == pytest.approx(mean, abs=1e-4)
            variance = (np.exp(logs) * (logs - mean) ** 2).sum()
            assert stats.variance[at] == pytest.approx(variance, rel=1e-4, abs=1e-6)
            if index >= found.prefix[i]:
                log_pz += reference.log_sampled(row, target, top_k, temperature)
            else:
                assert stats.log_q[at] == 0
            at += 1
        assert at == stats.offsets[i + 1]
        ours = stats.log_q[stats.suffix[i] : at].sum()
        assert ours == pytest.approx(log_pz, rel=1e-4, abs=1e-4)
        finite += np.isfinite(log_pz)
    assert finite


def test_loss_is_that_of_the_library():
    model = tiny.model()
    found = windows(model)
    stats = statistics(model, found)
    for i in np.flatnonzero(found.lengths > 1):
        ids = torch.from_numpy(found.ids[None, found.offsets[i] : found.offsets[i + 1]])
        with torch.no_grad():
            theirs = model.network(input_ids=ids, labels=ids).loss
        ours = -stats.logprob[stats.offsets[i] : stats.offsets[i + 1]].mean()
        assert ours == pytest.approx(float(theirs), rel=1e-5)


def test_batches_do_not_matter_beyond_the_tolerance():
    model = tiny.model()
    found = windows(model)
    whole = statistics(model, found, top_k=100)
    for budget in (1, 40, 100, 333):
        parts = statistics(model, found, top_k=100, token_budget=budget)
        for one, two in zip(arrays(whole), arrays(parts), strict=True):
            np.testing.assert_allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_same_again_is_the_same_to_the_bit():
    model = tiny.model()
    one, two = (arrays(statistics(model, windows(model), token_budget=100)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 200))
def test_batches_are_canonical_and_within_the_budget(widths, budget):
    widths = np.array(widths, dtype=np.int64)
    batches = plan(widths, np.arange(widths.size), budget)
    order = [row for batch in batches for row in batch.tolist()]
    assert order == sorted(range(widths.size), key=lambda row: (-widths[row], row))
    for batch in batches:
        assert batch.size == 1 or batch.size * widths[batch].max() <= budget


class Cramped:
    """A model that has no memory for more than `limit` tokens at once."""

    def __init__(self, network, limit, error):
        self.network, self.limit, self.error = network, limit, error
        self.seen = []

    def base_model(self, input_ids, use_cache):
        self.seen.append(input_ids.numel())
        if input_ids.numel() > self.limit:
            raise self.error
        return self.network.base_model(input_ids=input_ids, use_cache=use_cache)

    def get_output_embeddings(self):
        return self.network.get_output_embeddings()


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_out_of_memory_halves_and_goes_on(error):
    model = tiny.model()
    found = windows(model)
    expected = statistics(model, found)
    cramped = Cramped(model.network, 60, error)
    stats = statistics(dataclasses.replace(model, network=cramped), found)
    for one, two in zip(arrays(expected), arrays(stats), strict=True):
        np.testing.assert_allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE)
    failures = sum(size > 60 for size in cramped.seen)
    assert 0 < failures <= 5  # later batches are small from the start


def test_one_sequence_that_does_not_fit_is_said():
    model = tiny.model()
    cramped = Cramped(model.network, 3, OUT_OF_MEMORY[0])
    with pytest.raises(RunError, match=r"one sequence of \d+ tokens.*memorization.prefix"):
        statistics(dataclasses.replace(model, network=cramped), windows(model))


def test_other_errors_are_not_taken_for_memory():
    model = tiny.model()
    cramped = Cramped(model.network, 3, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        statistics(dataclasses.replace(model, network=cramped), windows(model))


def test_the_projection_is_done_in_bounded_parts(monkeypatch):
    model = tiny.model()
    found = windows(model)
    expected = statistics(model, found)
    monkeypatch.setitem(forward.LOGITS, "cpu", 5 * model.vocabulary)
    sizes = []
    real = forward.reduce

    def watched(logits, *rest):
        sizes.append(logits.numel())
        return real(logits, *rest)

    monkeypatch.setattr(forward, "reduce", watched)
    stats = statistics(model, found)
    assert max(sizes) == 5 * model.vocabulary
    for one, two in zip(arrays(expected), arrays(stats), strict=True):
        np.testing.assert_allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE)


def test_progress_counts_each_sequence():
    model = tiny.model()
    found = windows(model)
    progress = []
    statistics(model, found, token_budget=64, progress=progress.append)
    assert sum(progress) == (found.lengths > 1).sum()
    assert len(progress) > 3


def test_longer_than_the_context():
    model = tiny.model(context=16)
    with pytest.raises(ConfigError, match=r"takes 17 tokens.*reads 16.*memorization.prefix"):
        statistics(model, windows(model))


def test_impossible_tokens_make_no_nan():
    logits = torch.tensor([[0.0, -torch.inf, 1.0], [-torch.inf, 5.0, -torch.inf]])
    found = reduce(logits, torch.tensor([0, 1]), torch.tensor([0, 0]), 2, 1.0)
    assert not found.isnan().any()
    logs = torch.tensor([0.0, 1.0]).double().log_softmax(0)
    mean = float((logs.exp() * logs).sum())
    assert found[3].tolist() == pytest.approx([mean, 0])
    variance = float((logs.exp() * (logs - mean) ** 2).sum())
    assert found[4].tolist() == pytest.approx([variance, 0])
    assert found[1].tolist() == [0, 1]


def test_equals_go_to_the_lowest_number():
    logits = torch.tensor([[2.0, 2.0, 1.0]] * 2)
    found = reduce(logits, torch.tensor([0, 1]), torch.tensor([0, 1]), 1, 1.0)
    assert found[1].tolist() == [1, 0]


def test_flat_distributions_keep_their_variance():
    """Squares less the squared mean would lose it beside a single larger logit."""
    logits = 1e-4 * torch.randn(1, 5000, generator=torch.Generator().manual_seed(0))
    logits[0, 7] = 4.0
    logs = logits.double().log_softmax(-1)
    mean = (logs.exp() * logs).sum()
    expected = float((logs.exp() * (logs - mean) ** 2).sum())
    found = reduce(logits, torch.tensor([0]), torch.tensor([-1]), 40, 1.0)
    assert float(found[4, 0]) == pytest.approx(expected, rel=3e-6)


def test_a_token_outside_the_k_counts_also_where_it_is_not_the_least_probable():
    flat = [0.1] + [0.0] * 19
    peaked = [2.0, 2.0, 1.9] + [-9.0] * 17
    logits = torch.tensor([flat, peaked, flat])
    found = reduce(logits, torch.tensor([0, 2, 0]), torch.tensor([4, 4, 5]), 2, 1.0)
    assert found[0, 0] < found[0, 1]
    assert found[2, 1] == -torch.inf
    least = np.log(np.exp(0.1) / (np.exp(0.1) + 1))
    assert found[2, [0, 2]].tolist() == pytest.approx([least, least])
