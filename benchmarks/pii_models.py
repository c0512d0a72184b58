"""Speed of models for entities (pii.ner) beside transformers' own pipeline, on one model and texts.

    python benchmarks/pii_models.py [--model FOLDER | --layers 12 --width 768] [--tokens 20000]
        [--rounds 2] [--threads N] [--files 400]

  pipeline    pipeline("token-classification"), aggregation_strategy="first", texts one at a time
  batches     the same with batch_size=8, in the order given
  unrote      pii.ner: windows in batches of similar length, constrained decoding, whole words

Texts are paragraphs of installed packages' documentation, of at most 400 tokens: the pipeline reads
no longer ones. Without --model it is a BERT, of base size or as given, with random weights and nine
labels in BIO: speed does not depend on what they are. A small one shows what is around the network.
Tokens per second of processor time count the texts' own tokens; tokenising is part of every
system's time. Rounds alternate between the systems and each system's fastest counts, so that what
disturbs, disturbs all. One line says how much of the time of unrote is not the network's.

It has not been run on a GPU: `pii.ner_device` would say which.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertForTokenClassification,
    PreTrainedTokenizerFast,
    pipeline,
)

from benchmarks.pii_speed import documentation
from unrote.pii.config import Config
from unrote.pii.ner import Model, entities_of, only_model

LONGEST = 400
LABELS = ("O", *(f"{tag}-{type_}" for type_ in ("PER", "ORG", "LOC", "MISC") for tag in "BI"))
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def random_model(folder: Path, texts: Sequence[str], layers: int, width: int) -> None:
    """A BERT with random weights, and a WordPiece tokenizer of these texts."""
    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer = normalizers.BertNormalizer(lowercase=False)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=28_996, special_tokens=list(SPECIAL))
    words.train_from_iterator(texts, trainer)
    ends = [(name, words.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=512, **names).save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        id2label=dict(enumerate(LABELS)),
    )
    BertForTokenClassification(config).save_pretrained(folder)


def by_pipeline(folder: Path, batch: int) -> Callable[[Sequence[str]], object]:
    run = pipeline(
        "token-classification",
        model=AutoModelForTokenClassification.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        aggregation_strategy="first",
        device="cpu",
    )
    return lambda texts: run(list(texts), batch_size=batch)


def seconds(system: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Processor seconds."""
    began = time.process_time()
    system(texts)
    return time.process_time() - began


def network_seconds(config: Config, texts: Sequence[str]) -> tuple[float, float]:
    """(processor seconds of all, of the network alone)."""
    inside = 0.0
    with only_model(Model.of(config)) as model:
        network = model._network

    def timed(*args: object, **named: object) -> object:
        nonlocal inside
        began = time.process_time()
        try:
            return real(*args, **named)
        finally:
            inside += time.process_time() - began

    real = network.forward
    with mock.patch.object(network, "forward", timed):
        whole = seconds(lambda texts: entities_of(texts, config), texts)
    return whole, inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768, help="a multiple of 64")
    parser.add_argument("--files", type=int, default=400, help="files of documentation")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    files = islice(documentation(), given.files)
    paragraphs = [part for text in files for part in text.split("\n\n")]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.model or Path(scratch) / "base"
        if given.model is None:
            random_model(folder, paragraphs, given.layers, given.width)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        texts, tokens = [], 0
        for text in paragraphs:
            own = len(tokenizer(text, add_special_tokens=False).input_ids) if text.strip() else 0
            if 0 < own <= LONGEST:
                texts.append(text)
                tokens += own
            if tokens >= given.tokens:
                break
        config = Config(ner=f"transformers:{folder}", ner_device="cpu")
        systems = {
            "pipeline": by_pipeline(folder, 1),
            "batches": by_pipeline(folder, 8),
            "unrote": lambda texts: entities_of(texts, config),
        }
        for system in systems.values():
            system(texts[:8])
        best = dict.fromkeys(systems, float("inf"))
        for _ in range(given.rounds):
            for name, system in systems.items():
                best[name] = min(best[name], seconds(system, texts))
        whole, inside = network_seconds(config, texts)
    print(f"{len(texts)} texts, {tokens:,} tokens, {torch.get_num_threads()} threads")
    print("| | tokens a second of processor time | to the pipeline |")
    print("|---|--:|--:|")
    for name, took in best.items():
        print(f"| {name} | {tokens / took:,.0f} | {best['pipeline'] / took:.2f} |")
    print(f"of unrote's time {1 - inside / whole:.1%} is not the network's")
    print("has not been run on a GPU")


if __name__ == "__main__":
    main()
