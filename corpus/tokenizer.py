"""What is done to tokenizers of the Hugging Face kind, without the packages that read models."""

from typing import Any

from unrote.corpus.errors import ConfigError


def own_copy(tokenizer: Any) -> Any:
    """A `tokenizers.Tokenizer` like the given one, that neither pads nor truncates.

    A copy, because Hugging Face tokenizers set and unset both on theirs with every call.
    """
    copied = type(tokenizer).from_str(tokenizer.to_str())
    copied.no_padding()
    copied.no_truncation()
    return copied


def fast_tokenizer(name: str, tokenizer: Any) -> Any:
    """The `tokenizers.Tokenizer` of one of transformers, as an `own_copy`.

    name: of the model. Raises ConfigError where it has none.
    """
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise ConfigError(
            f"Model {name!r} has no fast tokenizer (tokenizer.json), which is needed to know where "
            "tokens lie in a text. Convert it: AutoTokenizer.from_pretrained(...).save_pretrained()"
        )
    return own_copy(fast)
