"""The default reference model as it ships: size, loading, tokenizer, and that it has learnt."""

import inspect
import json
import math
import random
import socket
import statistics
import textwrap
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from unrote.memorization.model import load

FOLDER = Path(__file__).parents[2] / "memorization" / "default"


@pytest.fixture(scope="module")
def network_is_cut():
    """Whoever reaches for the network fails."""

    def refuse(*_):
        raise AssertionError("the network was reached for")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module")
def tokenizer(network_is_cut):
    return AutoTokenizer.from_pretrained(FOLDER, trust_remote_code=False)


@pytest.fixture(scope="module")
def model(network_is_cut):
    return AutoModelForCausalLM.from_pretrained(
        FOLDER, dtype=torch.float32, trust_remote_code=False
    ).eval()


def token_nats(model, tokenizer, text):
    """Of each token of the text, in windows that begin with BOS."""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    size = model.config.max_position_embeddings
    found = []
    for start in range(0, len(ids), size):
        window = torch.tensor([[tokenizer.bos_token_id, *ids[start : start + size]]])
        with torch.inference_mode():
            logits = model(input_ids=window[:, :-1]).logits[0]
        found.append(torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="none"))
    return torch.cat(found)


def bits_per_byte(model, tokenizer, text):
    return token_nats(model, tokenizer, text).sum().item() / math.log(2) / len(text.encode())


def english():
    """Documentation that every Python has: docstrings of its library."""
    modules = [statistics, textwrap, json, inspect]
    members = [
        value
        for module in modules
        for name, value in sorted(vars(module).items())
        if not name.startswith("_") and callable(value)
    ]
    return "\n\n".join(filter(None, map(inspect.getdoc, modules + members)))


def test_the_folder_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) <= 10_000_000


def test_weights_are_float16_and_embeddings_tied(model):
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["model_type"] == "llama"
    assert config["tie_word_embeddings"]
    assert config["dtype"] == "float16"
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_no_code_but_transformers_own():
    assert not list(FOLDER.rglob("*.py"))
    assert "auto_map" not in (FOLDER / "config.json").read_text()


@pytest.mark.parametrize("name", ["", "default"])
def test_sequences_begin_with_bos_as_the_card_asks_for(name):
    assert load(name, device="cpu").adds_bos


def test_tokenizer_and_model_agree(model, tokenizer):
    assert len(tokenizer) == model.config.vocab_size
    assert tokenizer.bos_token_id == model.config.bos_token_id
    assert tokenizer.eos_token_id == model.config.eos_token_id
    assert tokenizer.model_max_length == model.config.max_position_embeddings


@given(st.text(max_size=200))
def test_any_text_comes_back(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", ["<s>", "a</s>b", " <s> ", "\r\n\t", "\x00", "né 語 🎉 \u202e"])
def test_no_text_is_taken_for_a_special_token(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert not {tokenizer.bos_token_id, tokenizer.eos_token_id} & set(ids)


def test_predicts_english_far_better_than_zlib(model, tokenizer):
    text = english()[:10_000]
    packed = 8 * len(zlib.compress(text.encode(), 9)) / len(text.encode())
    assert bits_per_byte(model, tokenizer, text) < 0.75 * packed


def test_knows_order(model, tokenizer):
    """Not only how frequent words are: the same words shuffled are harder."""
    words = english()[:4_000].split()
    text = " ".join(words)
    random.Random(0).shuffle(words)
    shuffled = bits_per_byte(model, tokenizer, " ".join(words))
    assert bits_per_byte(model, tokenizer, text) < 0.8 * shuffled


def test_same_text_same_numbers(model, tokenizer):
    text = english()[:2_000]
    first = token_nats(model, tokenizer, text)
    again = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    assert torch.equal(first, token_nats(again, tokenizer, text))


def test_stays_finite_in_half_precision(model, tokenizer):
    half = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.bfloat16).eval()
    text = english()[:2_000]
    full = token_nats(model, tokenizer, text)
    assert (token_nats(half, tokenizer, text).float() - full).abs().mean() < 0.05
