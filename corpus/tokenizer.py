"""What is done to tokenizers of the Hugging Face kind, without the packages that read models."""

from typing import Any


def own_copy(tokenizer: Any) -> Any:
    """A `tokenizers.Tokenizer` like the given one, that neither pads nor truncates.

    A copy, because Hugging Face tokenizers set and unset both on theirs with every call.
    """
    copied = type(tokenizer).from_str(tokenizer.to_str())
    copied.no_padding()
    copied.no_truncation()
    return copied
