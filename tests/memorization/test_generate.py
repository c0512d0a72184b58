import numpy as np
import pytest
from transformers import GenerationConfig

from tests.memorization import reference, tiny
from unrote.memorization.forward import statistics
from unrote.memorization.generate import greedy_suffixes
from unrote.memorization.model import prepare
from unrote.memorization.windows import sequences, tokenize

TEXTS = [*tiny.SENTENCES, "a", "", "abc"]


@pytest.mark.parametrize("bos", [False, True])
def test_greedy_text_is_that_of_going_token_by_token(bos):
    model = tiny.model(bos)
    found = sequences(tokenize(model.tokenizer, TEXTS), 6, 5)
    for made, again in zip(
        greedy_suffixes(model, found), greedy_suffixes(model, found, token_budget=30), strict=True
    ):
        assert made.tolist() == again.tolist()
    for i, made in enumerate(greedy_suffixes(model, found)):
        ids = found.ids[found.offsets[i] : found.offsets[i + 1]].tolist()
        prefix = int(found.prefix[i])
        able = prefix > 0 or bos
        expected = reference.greedy(model, ids[:prefix], len(ids) - prefix, bos) if able else []
        assert made.tolist() == expected


def test_extractable_sequences_are_those_that_greedy_decoding_gives():
    model = tiny.model()
    found = sequences(tokenize(model.tokenizer, TEXTS), 6, 5)
    planted = found.ids.copy()
    for i, made in enumerate(greedy_suffixes(model, found)):
        if i % 2 and made.size:
            planted[found.offsets[i + 1] - made.size : found.offsets[i + 1]] = made
    found = type(found)(planted, *[getattr(found, n) for n in list(found.__annotations__)[1:]])
    stats = statistics(model, found)
    exact = 0
    for i, made in enumerate(greedy_suffixes(model, found)):
        if made.size:
            true = found.ids[found.offsets[i] + found.prefix[i] : found.offsets[i + 1]]
            hits = stats.hit[stats.suffix[i] : stats.offsets[i + 1]]
            assert hits.all() == np.array_equal(made, true)
            exact += hits.all()
    assert exact > 3


def test_end_tokens_and_settings_of_the_model_do_not_matter():
    words = tiny.tokenizer()
    plain = tiny.model()
    found = sequences(tokenize(plain.tokenizer, TEXTS), 6, 5)
    expected = greedy_suffixes(plain, found)
    network = tiny.llama(len(words))
    ends = {int(ids[0]) for ids in expected if ids.size}
    network.config.eos_token_id = sorted(ends)
    network.generation_config = GenerationConfig(
        do_sample=True, temperature=3.0, repetition_penalty=5.0, eos_token_id=sorted(ends)
    )
    made = greedy_suffixes(prepare("ends", network, words), found)
    assert [ids.tolist() for ids in made] == [ids.tolist() for ids in expected]
