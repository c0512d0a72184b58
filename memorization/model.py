"""The reference model: any causal language model of the Hugging Face kind, from this machine's
disk.

A model is "" or "default" (the one in this package), a folder, or the name of one that lies in the
Hugging Face cache. Nothing is downloaded, no code that comes with a model is run, and weights are
read from safetensors only. What is loaded is checked on a few tokens, because folders that load may
still be useless: heads that were never trained, models that see the future, weights that overflow.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from unrote.corpus.errors import ConfigError
from unrote.corpus.pretrained import (
    check_tokenizer,
    check_weights,
    device_for,
    first_line,
    load_network,
    load_tokenizer,
    precision_for,
    silent,
)
from unrote.corpus.tokenizer import fast_tokenizer
from unrote.memorization.llama import load_llama
from unrote.memorization.tokenizer import (
    DEFAULT,
    folder_of,
    packaged_tokenizer,
    remedy,
    with_letters,
)

_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""How far logits computed in two ways may differ, relative to the largest of them."""


PADDING = 512
"""So many logits may have no token: vocabularies are padded to round numbers. Of larger gaps those
are taken for padding that leave half of the logits with one (of known models 2 % have none)."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model, ready to score.

    tokenizer is a `tokenizers.Tokenizer`; vocabulary is the number of logits; context the most
    tokens it reads at once; bos the token with which it begins a text, None if it has none, and
    `adds_bos` whether texts begin with it: where its tokenizer puts it there by itself, and for
    the default model, whose card asks for it. `separable` says that hidden states
    and vocabulary projection can be computed separately, which bounds memory.
    """

    name: str
    network: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    vocabulary: int
    context: int
    bos: int | None
    adds_bos: bool
    separable: bool

    def logits(
        self, ids: torch.Tensor, positions: torch.Tensor, rows: int
    ) -> Iterator[torch.Tensor]:
        """The next-token logits (float32[m, vocabulary]) after chosen positions of `ids`.

        ids int64[b, t], padded on the right (with what does not matter: a causal model never looks
        ahead); positions int64[n], ascending, of ids.ravel(). Parts come in order, of at most
        `rows` positions each, or of one sequence's where the projection is not separable.
        """
        width = ids.shape[1]
        if self.separable:
            hidden = self.network.base_model(input_ids=ids, use_cache=False)[0]
            flat, head = hidden.reshape(ids.numel(), -1), self.network.get_output_embeddings()
            for part in torch.split(positions, rows):
                yield head(flat[part]).float()
            return
        step = max(1, rows // width)
        for first in range(0, ids.shape[0], step):
            logits = self.network(input_ids=ids[first : first + step], use_cache=False).logits
            low, high = first * width, (first + step) * width
            inside = positions[(positions >= low) & (positions < high)] - low
            yield logits.reshape(-1, logits.shape[-1])[inside].float()


def load(name: str = "", device: str = "auto", precision: str = "auto") -> LanguageModel:
    """The model `name`: "" or "default", a folder, or one in the Hugging Face cache.

    device: auto (CUDA, else Apple's GPU, else the CPU), cuda, cuda:N, mps or cpu. precision: auto
    (bfloat16 on a GPU, float32 on a CPU: bfloat16 there moves log-probabilities by 1e-2), float32,
    bfloat16 or float16.
    Raises ConfigError if there is no such model or device, or the model cannot be used.
    """
    where = device_for(device, "memorization.device")
    dtype = precision_for(precision, where, "memorization.precision")
    folder = folder_of(name)
    if name in DEFAULT:
        network, config = load_llama(folder, dtype)
        bos = config.get("bos_token_id")
        return _checked(name or "default", network.to(where), packaged_tokenizer(), bos, config)
    check_weights(name or "default", folder)
    check_tokenizer(name or "default", folder, remedy(name))
    try:
        with silent():
            network = _load(folder, dtype)
    except ConfigError:
        raise
    except Exception as error:  # any: what a corrupt file makes a library raise has no end
        raise ConfigError(
            f"Model {str(folder)!r} cannot be loaded: {type(error).__name__}: {first_line(error)} "
            "It must hold a causal language model that this version of transformers knows (code "
            "of its own is not run) and safetensors. If it was downloaded, download it again."
        ) from error
    return prepare(name or "default", network.to(where), load_tokenizer(folder))


def prepare(name: str, network: Any, tokenizer: Any) -> LanguageModel:
    """A LanguageModel of a loaded `transformers` model and tokenizer, checked on a few tokens.

    Raises ConfigError if the two don't fit, or the model is not causal or gives no numbers.
    """
    from transformers import GenerationConfig  # noqa: PLC0415 (loads slowly)

    network.generation_config = GenerationConfig()  # its own may sample, penalise or stop early
    config = network.config.get_text_config().to_dict()
    fast = with_letters(name, fast_tokenizer(name, tokenizer))
    return _checked(name, network, fast, tokenizer.bos_token_id, config)


def _checked(
    name: str, network: Any, fast: Any, bos: int | None, config: Mapping[str, Any]
) -> LanguageModel:
    network.eval()
    vocabulary = network.get_output_embeddings().weight.shape[0]
    largest = max(fast.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= vocabulary:
        raise ConfigError(
            f"Model {name!r} has {vocabulary} tokens, its tokenizer one of number {largest}: they "
            "are not of one model. Name a folder with the model's own tokenizer."
        )
    entries = fast.get_vocab_size(with_added_tokens=True)
    if entries < vocabulary // 2 and vocabulary - entries > PADDING:
        raise ConfigError(
            f"Model {name!r} has {vocabulary} tokens, its tokenizer {entries}: it is of another "
            f"model, or a part of it is missing. {remedy(name)}"
        )
    return LanguageModel(
        name,
        network,
        fast,
        network.device,
        network.dtype,
        vocabulary,
        config.get("max_position_embeddings") or 1 << 30,
        bos,
        bos is not None and (name in DEFAULT or fast.encode("a").ids[:1] == [bos]),
        _check_network(name, network, vocabulary),
    )


def check_same_tokens(model: LanguageModel, comparison: LanguageModel) -> None:
    """Raises ConfigError unless both models cut every text into the same tokens."""
    one, two = (_tokenization(either) for either in (model, comparison))
    if one != two:
        differing = ", ".join(sorted(part for part in one if one[part] != two[part]))
        raise ConfigError(
            f"Models {model.name!r} ({len(model.tokenizer.get_vocab())} tokens) and "
            f"{comparison.name!r} ({len(comparison.tokenizer.get_vocab())} tokens) have different "
            f"tokenizers ({differing}): losses on different tokens can't be compared. Take two "
            "models of the same family."
        )


def _tokenization(model: LanguageModel) -> dict[str, Any]:
    parts = json.loads(model.tokenizer.to_str())
    same = {part: parts.get(part) for part in ("normalizer", "pre_tokenizer", "model")}
    return same | {"vocabulary": model.tokenizer.get_vocab(with_added_tokens=True)}


def _load(folder: Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    return load_network(AutoModelForCausalLM, folder, dtype, "a causal language model")


def _check_network(name: str, network: Any, vocabulary: int) -> bool:
    """Whether head(body(x)) is what the model gives for x; some change logits after the head.

    Raises ConfigError where the model's logits are not finite, or depend on later tokens.
    """
    ids = torch.arange(16, device=network.device).reshape(2, 8) % vocabulary
    ids[1, :7] = ids[0, :7]
    ids[1, 7] = (ids[0, 7] + 1) % vocabulary
    with torch.inference_mode():
        whole = network(input_ids=ids, use_cache=False).logits.float()
        hidden = network.base_model(input_ids=ids, use_cache=False)[0]
        tolerance = _TOLERANCE[network.dtype] * float(whole.abs().max())
        if not bool(whole.isfinite().all()):
            raise ConfigError(
                f"Model {name!r} gives no finite numbers in {network.dtype}: its weights are "
                "broken, or the precision is too narrow. Try memorization.precision = 'float32'."
            )
        if float((whole[0, :7] - whole[1, :7]).abs().max()) > tolerance:
            raise ConfigError(
                f"Model {name!r} ({type(network).__name__}) looks at later tokens: it is not a "
                "causal language model. Name a decoder, such as GPT, Llama or Pythia."
            )
        if hidden.shape[-1] != network.get_output_embeddings().weight.shape[1]:
            return False
        separate = network.get_output_embeddings()(hidden).float()
        return float((whole - separate).abs().max()) <= tolerance
