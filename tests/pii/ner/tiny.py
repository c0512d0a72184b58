"""Tiny token classifiers of the architectures that are in use, with random weights."""

import functools
from pathlib import Path

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ModernBertConfig,
    OpenAIPrivacyFilterConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

TEXT = (
    "Dr. Maria Hoffmann met Jane O'Neill and Zoë in Springfield, at 12 Main Street. "
    "Call 555-0100 or write to jane@unrote.org; Müller & Söhne, 東京 and Москва too.\n"
)

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
BIOES = ("O", *(f"{tag}-{type_}" for type_ in ("private_person", "secret") for tag in "BIES"))
IO = ("O", "NAME", "EMAIL")

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 48,
}

CONFIGURATIONS = {
    "bert": (BertConfig, SIZES, "wordpiece", BIO),
    "distilbert": (
        DistilBertConfig,
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 48},
        "wordpiece",
        IO,
    ),
    "roberta": (RobertaConfig, SIZES | {"pad_token_id": 1}, "bytes", BIO),
    "deberta": (
        DebertaV2Config,
        SIZES | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
        "unigram",
        BIO,
    ),
    "modernbert": (
        ModernBertConfig,
        SIZES | {"pad_token_id": 1, "local_attention": 8, "global_attn_every_n_layers": 2},
        "bytes",
        BIOES,
    ),
    "privacy-filter": (
        OpenAIPrivacyFilterConfig,
        {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "intermediate_size": 16,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "sliding_window": 8,
            "max_position_embeddings": 48,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "pad_token_id": 1,
            "eos_token_id": 1,
        },
        "plain-bytes",
        BIOES,
    ),
}
"""By name: configuration class, its sizes, the kind of tokenizer, the labels."""


WORDS = ("maria", "hoff", "mann", "jane", "spring", "field", "main", "street", "met", "and", "in")


@functools.cache
def tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer of a few hundred tokens: of the kind of BERT, DeBERTa, RoBERTa or gpt-oss.

    Those of words are put together by hand: their trainers give another one in each process.
    """
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    special, letters = list(names.values()), sorted(set(TEXT) - {" ", "\n"})
    if kind == "wordpiece":
        parts = [*sorted({letter.lower() for letter in letters}), *WORDS]
        pieces = [*special, *parts, *(f"##{part}" for part in parts)]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "unigram":
        parts = [*letters, *WORDS, *map(str.title, WORDS), "\u2581"]
        pieces = [*special, *parts, *(f"\u2581{word.title()}" for word in WORDS)]
        made = Tokenizer(models.Unigram([(piece, -1.0 - len(piece) / 9) for piece in pieces], 0))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        made = Tokenizer(models.BPE(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "bytes")
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        made.train_from_iterator([TEXT], trainer)
    if kind != "plain-bytes":
        ids = [(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=ids
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def save(folder: Path, name: str = "bert", *, seed: int = 0, labels=(), **sizes) -> Path:
    """A model of one of CONFIGURATIONS in a folder, as save_pretrained leaves it."""
    kind, settings, words, own = CONFIGURATIONS[name]
    fast, names = tokenizer(words), labels or own
    config = kind(
        **settings | sizes,
        vocab_size=len(fast),
        id2label=dict(enumerate(names)),
        label2id={label: number for number, label in enumerate(names)},
    )
    torch.manual_seed(seed)
    network = AutoModelForTokenClassification.from_config(config)
    with torch.no_grad():
        for weights in network.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.5)  # far enough apart for labels to differ
        head = getattr(network, "classifier", None) or network.score
        head.bias[names.index("O")] -= 1  # or some say nothing but O
    network.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
