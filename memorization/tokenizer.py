"""The tokenizer of a reference model, and where its files are: without the model, and without torch
for the one in this package.
"""

import unicodedata
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from unrote.corpus.errors import ConfigError
from unrote.corpus.packaged import packaged_folder
from unrote.corpus.tokenizer import fast_tokenizer, own_copy

DEFAULT = ("", "default")
"""Names of the model in this package."""

PROBES = (
    "The quick brown fox jumps over the lazy dog",
    "Съешь же ещё этих мягких французских булок",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "本日は晴天なり 中文文本 東京の天気",
    "다람쥐 헌 쳇바퀴에 타고파",
    "نص حكيم له سر قاطع وذو شأن عظيم",
    "ऋषियों को सताने वाले दुष्ट राक्षसों",
)
"""Text of several scripts. Of one of them most letters must come back from the tokens."""


@lru_cache(maxsize=2)
def tokenizer_of(name: str) -> Any:
    """The `tokenizers.Tokenizer` of the model `name`, without the model.

    Raises ConfigError if there is no such model, or it has no fast tokenizer.
    """
    if name in DEFAULT:
        return packaged_tokenizer()
    return with_letters(name, fast_tokenizer(name, pretrained_tokenizer(name)))


def packaged_tokenizer() -> Any:
    """The tokenizer of the model in this package."""
    from tokenizers import Tokenizer  # noqa: PLC0415 (of the extra `score`)

    stored = Tokenizer.from_file(str(_default_folder() / "tokenizer.json"))
    return with_letters("default", own_copy(stored))


def pretrained_tokenizer(name: str) -> Any:
    """The `transformers` tokenizer of the model `name`. Raises ConfigError if there is none."""
    from unrote.corpus.pretrained import check_tokenizer, load_tokenizer  # noqa: PLC0415 (torch)

    folder = folder_of(name)
    check_tokenizer(name or "default", folder, remedy(name))
    return load_tokenizer(folder)


def with_letters(name: str, tokenizer: Any) -> Any:
    """The tokenizer. Raises ConfigError where it loses most letters of every script."""
    if not any(_kept(tokenizer, text) > 0.5 for text in PROBES):
        raise ConfigError(
            f"The tokenizer of model {name!r} ({tokenizer.get_vocab_size()} tokens) loses the "
            f"letters of every script that was checked: its files are missing or broken. "
            f"{remedy(name)}"
        )
    return tokenizer


def _kept(tokenizer: Any, text: str) -> float:
    """The share of a text's letters that come back from its tokens, in whatever case and form."""

    def letters(of: str) -> Counter[str]:
        folded = unicodedata.normalize("NFKD", of.casefold())
        return Counter(letter for letter in folded if letter.isalpha())

    given = letters(text)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return (given & letters(tokenizer.decode(ids))).total() / given.total()


def folder_of(name: str) -> Path:
    """Where a model's files are. Raises ConfigError, with the command that downloads them."""
    if name in DEFAULT:
        return _default_folder()
    from unrote.corpus import pretrained  # noqa: PLC0415 (loads torch)

    return pretrained.folder_of(name)


def remedy(name: str) -> str:
    """Where a tokenizer is to be had."""
    if name in DEFAULT:
        return "Install unrote again."
    from unrote.corpus.pretrained import tokenizer_remedy  # noqa: PLC0415 (loads torch)

    return tokenizer_remedy(name)


def _default_folder() -> Path:
    try:
        folder = packaged_folder("unrote.memorization", "default")
        missing = "" if (folder / "config.json").is_file() else f"{folder} has no config.json"
    except FileNotFoundError as error:
        missing = str(error) or "its folder is not there"
    if missing:
        raise ConfigError(
            f"This installation lacks the default model ({missing}). Install unrote again, or name "
            "a model: a folder, or one in the Hugging Face cache."
        )
    return folder
