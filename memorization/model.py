"""The reference model: any causal language model of the Hugging Face kind, from this machine's
disk.

A model is "" or "default" (the one in this package), a folder, or the name of one that lies in the
Hugging Face cache. Nothing is downloaded, no code that comes with a model is run, and weights are
read from safetensors only. What is loaded is checked on a few tokens, because folders that load may
still be useless: heads that were never trained, models that see the future, weights that overflow.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from unrote.corpus.errors import ConfigError
from unrote.corpus.packaged import packaged_folder
from unrote.memorization.llama import load_llama
from unrote.memorization.windows import own_copy

_PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.1}
"""How far logits computed in two ways may differ, relative to the largest of them."""


DEFAULT = ("", "default")
"""Names of the model in this package."""

TOKENIZER_FILES = (
    "tokenizer.json",
    "*.model",
    "vocab.*",
    "merges.txt",
    "*.tiktoken",
    "tekken.json",
)
"""A folder without any of these has no tokenizer: transformers makes an empty one up for it."""

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
    where = device_for(device)
    dtype = precision_for(precision, where)
    folder = folder_of(name)
    if name in DEFAULT:
        network, config = load_llama(folder, dtype)
        bos = config.get("bos_token_id")
        return _checked(name or "default", network.to(where), tokenizer_of(name), bos, config)
    _check_files(name, folder)
    _check_tokenizer(name, folder)
    try:
        with _silent():
            network, tokenizer = _load(folder, dtype)
    except ConfigError:
        raise
    except Exception as error:  # any: what a corrupt file makes a library raise has no end
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ConfigError(
            f"Model {str(folder)!r} cannot be loaded: {type(error).__name__}: {reason[:300]} It "
            "must hold a causal language model that this version of transformers knows (code of "
            "its own is not run), safetensors and tokenizer.json. If it was downloaded, download "
            "it again."
        ) from error
    return prepare(name or "default", network.to(where), tokenizer)


def prepare(name: str, network: Any, tokenizer: Any) -> LanguageModel:
    """A LanguageModel of a loaded `transformers` model and tokenizer, checked on a few tokens.

    Raises ConfigError if the two don't fit, or the model is not causal or gives no numbers.
    """
    from transformers import GenerationConfig  # noqa: PLC0415 (loads slowly)

    network.generation_config = GenerationConfig()  # its own may sample, penalise or stop early
    config = network.config.get_text_config().to_dict()
    return _checked(name, network, _fast(name, tokenizer), tokenizer.bos_token_id, config)


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
            f"model, or a part of it is missing. {_remedy(name)}"
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


@lru_cache(maxsize=2)
def tokenizer_of(name: str) -> Any:
    """The `tokenizers.Tokenizer` of the model `name`, without the model.

    Raises ConfigError if there is no such model, or it has no fast tokenizer.
    """
    if name in DEFAULT:
        from tokenizers import Tokenizer  # noqa: PLC0415 (of the extra `score`)

        return _own_copy_checked(
            name, Tokenizer.from_file(str(_default_folder() / "tokenizer.json"))
        )
    return _fast(name, pretrained_tokenizer(name))


def pretrained_tokenizer(name: str) -> Any:
    """The `transformers` tokenizer of the model `name`. Raises ConfigError if there is none."""
    folder = folder_of(name)
    _check_tokenizer(name, folder)
    try:
        with _silent():
            return _tokenizer(folder)
    except Exception as error:  # any: what a corrupt file makes a library raise has no end
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ConfigError(
            f"The tokenizer of {str(folder)!r} cannot be loaded: {type(error).__name__}: "
            f"{reason[:300]} Name a folder with tokenizer.json and tokenizer_config.json, as "
            "save_pretrained(...) leaves them."
        ) from error


def _fast(name: str, tokenizer: Any) -> Any:
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise ConfigError(
            f"Model {name!r} has no fast tokenizer (tokenizer.json), which is needed to know where "
            "tokens lie in a text. Convert it: AutoTokenizer.from_pretrained(...).save_pretrained()"
        )
    return _own_copy_checked(name, fast)


def _own_copy_checked(name: str, fast: Any) -> Any:
    copied = own_copy(fast)
    if not any(_kept(copied, text) > 0.5 for text in PROBES):
        raise ConfigError(
            f"The tokenizer of model {name!r} ({copied.get_vocab_size()} tokens) loses the letters "
            f"of every script that was checked: its files are missing or broken. {_remedy(name)}"
        )
    return copied


def _kept(tokenizer: Any, text: str) -> float:
    """The share of a text's letters that come back from its tokens, in whatever case and form."""

    def letters(of: str) -> Counter[str]:
        folded = unicodedata.normalize("NFKD", of.casefold())
        return Counter(letter for letter in folded if letter.isalpha())

    given = letters(text)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return (given & letters(tokenizer.decode(ids))).total() / given.total()


def _remedy(name: str) -> str:
    """Where a tokenizer is to be had."""
    if name in DEFAULT:
        return "Install unrote again."
    if Path(name).is_dir():
        return (
            "Bring its tokenizer.json into the folder (or tokenizer.model, or vocab.json and "
            "merges.txt), as save_pretrained(...) or `hf download` leave it."
        )
    return f"Download it whole: {_download(name)}"


def _download(name: str) -> str:
    """The command that downloads all of a model that is read."""
    files = ("*.json", "*.safetensors", "tokenizer.model", "*.txt")
    return f"hf download {name} --include {' '.join(map(repr, files))}"


def device_for(name: str) -> torch.device:
    """The device that `name` means. Raises ConfigError if this machine does not have it."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    number = int(index) if index.isdecimal() else 0
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    known = kind in there and (index.isdecimal() or ":" not in name)
    if known and number < there[kind]:
        return torch.device(kind, number) if kind == "cuda" else torch.device(kind)
    here = [f"{kind}:{i}" if kind == "cuda" else kind for kind in there for i in range(there[kind])]
    raise ConfigError(
        f"memorization.device = {name!r}: this machine has {', '.join(here)}. Name one of these, "
        "or auto."
    )


def precision_for(name: str, device: torch.device) -> torch.dtype:
    """The precision that `name` means on a device. Raises ConfigError for another name."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _PRECISIONS:
        raise ConfigError(
            f"memorization.precision = {name!r}: give auto, {', '.join(_PRECISIONS)}."
        )
    return _PRECISIONS[name]


def folder_of(name: str) -> Path:
    """Where a model's files are. Raises ConfigError, with the command that downloads them."""
    if name in DEFAULT:
        return _default_folder()
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download  # noqa: PLC0415 (loads slowly)
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        raise ConfigError(
            f"Model {name!r} is no folder and not in the Hugging Face cache; nothing is downloaded "
            f"by itself. Download it: {_download(name)}"
        ) from None
    except HFValidationError:
        raise ConfigError(
            f"Model {name!r} is no folder, and no name that the Hugging Face hub could have "
            "(OWNER/NAME). Name a folder with config.json, or such a name."
        ) from None


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


def digest(folder: Path) -> str:
    """BLAKE2b (hex) of a model's files: what scores depend on, besides the device."""
    state = hashlib.blake2b(digest_size=16)
    read = ("*.json", "*.safetensors", *TOKENIZER_FILES)
    for path in sorted({path for pattern in read for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            state.update(path.name.encode() + hashlib.file_digest(file, "blake2b").digest())
    return state.hexdigest()


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


def _check_tokenizer(name: str, folder: Path) -> None:
    """Raises ConfigError for a folder without a tokenizer's files."""
    found = (path for pattern in TOKENIZER_FILES for path in folder.glob(pattern))
    if not any(path.is_file() and path.stat().st_size for path in found):
        raise ConfigError(
            f"Model {name or 'default'!r}: the folder {str(folder)!r} has no tokenizer: no "
            f"{', '.join(TOKENIZER_FILES[:-1])} or {TOKENIZER_FILES[-1]}. {_remedy(name)}"
        )


def _check_files(name: str, folder: Path) -> None:
    """Raises ConfigError for a folder without a configuration or with weights not to be read."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    problem = ""
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file():
        problem = "has no config.json: it is not a Hugging Face model"
    elif not weights:
        problem = (
            "has no *.safetensors, and weights of other kinds are not read, since reading them can "
            "run code. Save it again with save_pretrained(...), or download the safetensors"
        )
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            problem = f"has a broken {path.name} ({error}). Download or save it again"
    if problem:
        raise ConfigError(f"Model {name or 'default'!r}: the folder {str(folder)!r} {problem}.")


def _load(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    network, report = AutoModelForCausalLM.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=dtype,
        output_loading_info=True,
    )
    if missing := sorted(report["missing_keys"]):
        raise ConfigError(
            f"Model {str(folder)!r} lacks {len(missing)} weights ({missing[0]}, …), which would "
            "be random. Name a causal language model, saved whole."
        )
    return network, _tokenizer(folder)


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415

    return AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_fast=True
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps transformers from showing its own progress bar and remarks."""
    from transformers.utils import logging  # noqa: PLC0415

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


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
