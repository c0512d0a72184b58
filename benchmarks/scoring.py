"""Speed of memorization.score beside what is usually written, on the same model and texts.

    python benchmarks/scoring.py [--model FOLDER] [--texts 1500] [--rounds 3] [--threads N]

  per text   one text at a time through the model with labels, as perplexity is usually taken
  padded     batches of 32 in the order given, padded to the longest, log_softmax of all logits
  unrote     memorization.score: the same loss and all other measures of the table
  bfloat16   the same in that precision (only faster where the processor has instructions for it)

Texts are paragraphs of installed packages' documentation, cut to 100 tokens. Without --model it is
a decoder of 5 million random weights: speed does not depend on what they are. Tokens per second
count the texts' own tokens; tokenising is part of every system's time. Rounds alternate between
the systems and each system's fastest counts, so that what disturbs, disturbs all.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.pii_speed import documentation
from unrote.memorization.config import Config
from unrote.memorization.model import LanguageModel, load, prepare
from unrote.memorization.scorer import Scorer
from unrote.memorization.tokenizer import folder_of

LENGTH = 100  # tokens in a sequence
BATCH = 32


def paragraphs(count: int) -> list[str]:
    """So many distinct paragraphs of words, spread over all documentation."""
    found: dict[str, None] = {}
    for text in documentation():
        for part in text.split("\n\n"):
            words = " ".join(part.split())
            if len(words) > 20 and sum(c.isalpha() for c in words) > 0.6 * len(words):
                found[words] = None
    every = list(found)
    return every[:: max(1, len(every) // count)][:count]


def random_model(texts: list[str], device: str = "cpu") -> tuple[LanguageModel, object]:
    """A decoder of 5 million parameters and a BPE of 4,096 tokens from the texts."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=4096, show_progress=False))
    words = PreTrainedTokenizerFast(tokenizer_object=made)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    return prepare("random", LlamaForCausalLM(config).to(device), words), words


def per_text(model: LanguageModel, tokenizer: object, texts: list[str]) -> list[float]:
    """The loss of each text, the way of most tutorials."""
    losses = []
    with torch.inference_mode():
        for text in texts:
            batch = tokenizer(text, return_tensors="pt").to(model.device)
            loss = model.network(input_ids=batch["input_ids"], labels=batch["input_ids"]).loss
            losses.append(float(loss))
    return losses


def padded(model: LanguageModel, tokenizer: object, texts: list[str]) -> list[float]:
    """The loss of each text, in batches of 32."""
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.convert_ids_to_tokens(0)
    tokenizer.padding_side = "right"
    losses: list[float] = []
    with torch.inference_mode():
        for at in range(0, len(texts), BATCH):
            batch = tokenizer(texts[at : at + BATCH], padding=True, return_tensors="pt")
            batch = batch.to(model.device)
            ids, mask = batch["input_ids"], batch["attention_mask"]
            logits = model.network(input_ids=ids, attention_mask=mask).logits
            logs = logits[:, :-1].float().log_softmax(-1)
            own = logs.gather(2, ids[:, 1:, None])[..., 0] * mask[:, 1:]
            losses += (-own.sum(1) / mask[:, 1:].sum(1)).tolist()
    return losses


def unrote(model: LanguageModel, texts: list[str], token_budget: int = 0) -> list[float]:
    config = Config(LENGTH // 2, LENGTH - LENGTH // 2, token_budget=token_budget)
    return Scorer(model, config).table(texts)["loss"].to_pylist()


def systems(
    model: LanguageModel, tokenizer: object
) -> dict[str, Callable[[list[str]], list[float]]]:
    every = {
        "per text": lambda texts: per_text(model, tokenizer, texts),
        f"padded {BATCH}": lambda texts: padded(model, tokenizer, texts),
        "unrote": lambda texts: unrote(model, texts),
    }
    if model.dtype == torch.float32:
        half = copy.deepcopy(model.network).to(torch.bfloat16)
        narrow = replace(model, network=half, dtype=torch.bfloat16)
        every["bfloat16"] = lambda texts: unrote(narrow, texts)
    return every


def cut(tokenizer: object, texts: list[str]) -> Iterator[str]:
    """Texts of 2 to LENGTH tokens, whose ends are ends of tokens."""
    for text in texts:
        offsets = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        ends = [end for _, end in offsets["offset_mapping"]][:LENGTH]
        for end in reversed(ends):
            short = text[:end]
            if 1 < len(tokenizer(short, add_special_tokens=False)["input_ids"]) <= LENGTH:
                yield short
                break


def compare(
    model: LanguageModel, tokenizer: object, texts: list[str], rounds: int
) -> dict[str, float]:
    """Tokens per second of each system; prints them, and how far losses are apart."""
    tokens = sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])
    seconds: dict[str, float] = {}
    losses: dict[str, list[float]] = {}
    compared = systems(model, tokenizer)
    for _ in range(rounds):
        for name, run in compared.items():
            began = time.perf_counter()
            losses[name] = run(texts)
            took = time.perf_counter() - began
            seconds[name] = min(took, seconds.get(name, took))
    print(f"{len(texts)} texts, {tokens} tokens, {model.dtype} on {model.device}")
    for name, took in seconds.items():
        ratio = took / seconds["unrote"]
        print(f"  {name:12} {tokens / took:10.0f} tokens/s   unrote is {ratio:.2f} x")
    for name, other in losses.items():
        away = max(abs(a - b) for a, b in zip(other, losses["unrote"], strict=True))
        print(f"  {name:12} a text's loss differs by at most {away:.2g} nats per token")
    return {name: tokens / took for name, took in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="")
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    texts = paragraphs(options.texts)
    if options.model:
        model = load(options.model, "cpu")
        tokenizer = AutoTokenizer.from_pretrained(folder_of(options.model), local_files_only=True)
    else:
        model, tokenizer = random_model(texts)
    print(f"{torch.get_num_threads()} threads")
    compare(model, tokenizer, list(cut(tokenizer, texts)), options.rounds)


if __name__ == "__main__":
    main()
