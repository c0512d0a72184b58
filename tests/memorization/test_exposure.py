import math

import pytest

from tests.memorization import reference, tiny
from unrote.corpus.errors import ConfigError
from unrote.memorization.exposure import EXPOSURES, exposure

CANARIES = ["the code is 1234", "the code is 9", "never mind how long"]
REFERENCES = [f"the code is {n}" for n in range(1000, 1020)]


def log_perplexity(model, text):
    ids = model.tokenizer.encode(text, add_special_tokens=False).ids
    rows = reference.logits_of(model, ids, model.adds_bos)
    scored = [(row, target) for row, target in zip(rows, ids, strict=True) if row]
    return -sum(reference.log_softmax(row)[target] for row, target in scored) / math.log(2)


@pytest.mark.parametrize("bos", [False, True])
def test_canaries_are_ranked_among_references(bos):
    model = tiny.model(bos)
    table = exposure(model, CANARIES, REFERENCES)
    assert table.schema == EXPOSURES
    others = [log_perplexity(model, text) for text in REFERENCES]
    for row, canary in zip(table.to_pylist(), CANARIES, strict=True):
        bits = log_perplexity(model, canary)
        rank = 1 + sum(other <= bits for other in others)
        assert row["bits"] == pytest.approx(bits, abs=1e-3)
        assert row["exposure"] == pytest.approx(math.log2(20) - math.log2(rank))


def test_reasons():
    table = exposure(tiny.model(), ["a", "", "abc"], REFERENCES)
    assert table["reason"].to_pylist() == ["no probability", "no probability", None]
    assert table["exposure"].null_count == table["bits"].null_count == 2
    table = exposure(tiny.model(), ["abc"], ["", "a"])
    assert table["reason"].to_pylist() == ["no references"]
    with pytest.raises(ConfigError, match="needs references"):
        exposure(tiny.model(), ["abc"], [])
