"""Models whose tokenizer is missing, empty or another's: transformers makes up an empty one."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.command import unrote
from tests.memorization import tiny
from unrote import memorization
from unrote.corpus.errors import ConfigError
from unrote.memorization.model import load, prepare
from unrote.memorization.tokenizer import tokenizer_of

VOCABULARY = 320


def qwen2():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    special = {"bos_token_id": None, "eos_token_id": None}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=VOCABULARY, **sizes, **heads, **special))


def gpt2():
    torch.manual_seed(0)
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128}
    special = {"bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **sizes, **special))


MADE = {
    "Llama": lambda: tiny.llama(VOCABULARY),
    "GPTNeoX": lambda: tiny.neox(VOCABULARY),
    "Qwen2": qwen2,
    "GPT2": gpt2,
}
STRIPPED = ["bare", "class only", "fast class only", "empty file", "no vocabulary"]


def stripped(folder, kind, how):
    """A model's folder with its weights, and of its tokenizer what `how` says."""
    MADE[kind]().save_pretrained(folder)
    name = f"{kind}Tokenizer" + ("Fast" if how == "fast class only" else "")
    if how != "bare":
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    if how == "empty file":
        (folder / "tokenizer.json").write_text("")
    if how == "no vocabulary":
        whole = json.loads(tiny.tokenizer().backend_tokenizer.to_str())
        whole["model"] |= {"vocab": {}, "merges": []}
        (folder / "tokenizer.json").write_text(json.dumps(whole))
    return folder


@pytest.mark.parametrize("how", STRIPPED)
@pytest.mark.parametrize("kind", MADE)
def test_a_model_without_its_tokenizer_is_refused(tmp_path, kind, how):
    folder = stripped(tmp_path / "model", kind, how)
    for use in (load, tokenizer_of, lambda name: memorization.score(["Some text."], name)):
        with pytest.raises(ConfigError, match="tokenizer") as error:
            use(str(folder))
        assert "tokenizer.json" in str(error.value)


@pytest.mark.parametrize(("kind", "how"), [("Llama", "class only"), ("Qwen2", "no vocabulary")])
def test_no_command_takes_it(tmp_path, kind, how):
    folder = stripped(tmp_path / "model", kind, how)
    (tmp_path / "in.jsonl").write_text('{"text": "Ten green bottles."}\n' * 3)
    (tmp_path / "policy.toml").write_text('[[rule]]\nmeasure = "sequences_at_risk"\nlimit = 9\n')
    model = ("--set", f"memorization.model={folder}")
    for command in (
        ("clean", tmp_path / "in.jsonl", "-o", tmp_path / "out"),
        ("gate", tmp_path / "in.jsonl", "--policy", tmp_path / "policy.toml"),
    ):
        done = unrote(*command, *model)
        assert done.status == 2, done.out
        assert "tokenizer" in done.err


def test_the_command_that_downloads_brings_the_tokenizer(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"'\*\.json' '\*\.safetensors' 'tokenizer\.model' '\*\.txt'"
    ):
        load("owner/none")


def wrapped(made):
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]")


def of_letters(letters, **parts):
    """A tokenizer that knows these characters, and [UNK]."""
    made = Tokenizer(
        models.WordLevel({"[UNK]": 0} | {c: i for i, c in enumerate(letters, 1)}, "[UNK]")
    )
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    for name, part in parts.items():
        setattr(made, name, part)
    return made


LATIN = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "made",
    [
        of_letters(" " + LATIN + LATIN.upper()),
        of_letters(" " + LATIN, normalizer=normalizers.Lowercase()),
        of_letters(" " + LATIN + "T", normalizer=normalizers.NFD()),
        of_letters("абвгдежзийклмнопрстуфхцчшщъыьэюяёС ", normalizer=normalizers.Lowercase()),
    ],
    ids=["English", "lower case", "decomposed", "Russian"],
)
def test_a_tokenizer_of_one_script_is_taken(made):
    words = wrapped(made)
    assert prepare("small", tiny.llama(len(words)), words).tokenizer.get_vocab_size() == len(words)


def test_bytes_are_letters_too():
    """As Llama's: a vocabulary of bytes alone, which the decoder puts together."""
    names = {f"<0x{byte:02X}>": byte for byte in range(256)}
    made = Tokenizer(models.BPE(vocab=names, merges=[], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    words = PreTrainedTokenizerFast(tokenizer_object=made)
    assert prepare("bytes", tiny.llama(256), words)


@pytest.mark.parametrize("letters", ["", "unk", "aeiou ", ".,;:!?0123456789"])
def test_a_tokenizer_that_loses_every_script_is_refused(letters):
    words = wrapped(of_letters(letters))
    with pytest.raises(ConfigError, match="loses the letters of every script"):
        prepare("lossy", tiny.llama(max(len(words), 8)), words)


@pytest.mark.parametrize(("logits", "fits"), [(320, True), (384, True), (832, True), (900, False)])
def test_how_many_logits_may_have_no_token(logits, fits):
    """Vocabularies are padded; a tokenizer of less than half is another's."""
    words = tiny.tokenizer()
    if fits:
        assert prepare("padded", tiny.llama(logits), words).vocabulary == logits
        return
    with pytest.raises(ConfigError, match="has 900 tokens, its tokenizer 320"):
        prepare("padded", tiny.llama(logits), words)


def test_trained_tokenizers_of_every_kind_are_taken():
    for model, trainer in (
        (models.Unigram(), trainers.UnigramTrainer(vocab_size=80, show_progress=False)),
        (
            models.WordPiece(unk_token="[UNK]"),
            trainers.WordPieceTrainer(
                vocab_size=300, special_tokens=["[UNK]"], show_progress=False
            ),
        ),
        (models.BPE(), trainers.BpeTrainer(vocab_size=300, show_progress=False)),
    ):
        made = Tokenizer(model)
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.train_from_iterator([*tiny.SENTENCES, LATIN, LATIN.upper()], trainer)
        words = PreTrainedTokenizerFast(tokenizer_object=made)
        assert prepare("trained", tiny.llama(len(words)), words)
