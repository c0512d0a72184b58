"""The default model's network gives what transformers' gives."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from unrote.memorization.generate import continue_greedily
from unrote.memorization.model import load
from unrote.memorization.tokenizer import folder_of


@pytest.fixture(scope="module")
def theirs():
    return AutoModelForCausalLM.from_pretrained(folder_of("default"), dtype=torch.float32).eval()


@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (2, 100)])
def test_logits_are_those_of_transformers(theirs, shape):
    ids = torch.randint(0, 4096, shape, generator=torch.Generator().manual_seed(3))
    ours = load("default", "cpu").network
    with torch.inference_mode():
        found, expected = ours(input_ids=ids).logits, theirs(input_ids=ids).logits
    assert (found - expected).abs().max() < 1e-4
    assert found.shape == expected.shape


def test_greedy_continuations_are_those_of_transformers(theirs):
    ids = torch.randint(0, 4096, (4, 20), generator=torch.Generator().manual_seed(3))
    expected = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12,
        pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    with torch.inference_mode():
        found = continue_greedily(load("default", "cpu"), ids, 12)
    assert found.tolist() == expected[:, 20:].tolist()


def test_scoring_with_it_loads_no_transformers():
    code = (
        "import sys; from unrote import memorization; memorization.score(['some text'] * 3); "
        "sys.exit('transformers' in sys.modules or 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
