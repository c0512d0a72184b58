"""Models of a few thousand random parameters, and tokenizers trained on a few sentences."""

from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from unrote.memorization.model import LanguageModel, prepare

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea.",
    "It was the best of times, it was the worst of times, it was the age of wisdom.",
    "Permission is hereby granted, free of charge, to any person obtaining a copy.",
    "Die Straße führt über die Brücke; être ou ne pas être — 東京 🙂 naïve café.",
)


@cache
def tokenizer(vocabulary: int = 320, bos: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that characters are split among tokens; no pad token."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>"] if bos else []
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES, trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>" if bos else None)


def llama(vocabulary: int, seed: int = 0, context: int = 128, **changes: object):
    """With weights so large that distributions are neither flat nor certain."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=context,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
        **changes,
    )
    return LlamaForCausalLM(config)


def neox(vocabulary: int, seed: int = 0, context: int = 128):
    torch.manual_seed(seed)
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=context,
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPTNeoXForCausalLM(config)


def model(bos: bool = False, seed: int = 0, **changes: object) -> LanguageModel:
    words = tokenizer(bos=bos)
    return prepare("tiny", llama(len(words), seed, **changes), words)


def save(folder: Path, bos: bool = False, seed: int = 0) -> Path:
    """A model folder, as `save_pretrained` leaves it."""
    words = tokenizer(bos=bos)
    llama(len(words), seed).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


MEMORIZED = SENTENCES[2]


@cache
def memorizing_model(bos: bool = False) -> LanguageModel:
    """A model that was trained on `MEMORIZED` until it is extractable. To be read only."""
    words = tokenizer(bos=bos)
    network = llama(len(words))
    ids = torch.tensor([words(MEMORIZED).input_ids])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(150):
        loss = network(input_ids=ids, labels=ids).loss
        if float(loss.detach()) < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return prepare("memorizing", network, words)
