"""Models of the Hugging Face kind, from this machine's disk: found, checked, and run in batches.

A model is a folder, or the name of one in the Hugging Face cache. Nothing is downloaded, no code
that comes with a model is run, and weights are read from safetensors only.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError, RunError
from unrote.corpus.pulse import pulse

Ints = NDArray[np.int64]

_PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

TOKENIZER_FILES = (
    "tokenizer.json",
    "*.model",
    "vocab.*",
    "merges.txt",
    "*.tiktoken",
    "tekken.json",
)
"""A folder without any of these has no tokenizer: transformers makes an empty one up for it."""

BUDGETS = {"cpu": 2048, "mps": 8192, "cuda": 65536}
"""Tokens in a batch."""


def device_for(name: str, setting: str) -> torch.device:
    """The device that `name` means. Raises ConfigError if this machine does not have it.

    setting: what `name` is the value of, for the error.
    """
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
        f"{setting} = {name!r}: this machine has {', '.join(here)}. Name one of these, or auto."
    )


def precision_for(name: str, device: torch.device, setting: str) -> torch.dtype:
    """The precision that `name` means on a device. Raises ConfigError for another name."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in _PRECISIONS:
        raise ConfigError(f"{setting} = {name!r}: give auto, {', '.join(_PRECISIONS)}.")
    return _PRECISIONS[name]


def folder_of(name: str) -> Path:
    """Where a model's files are. Raises ConfigError, with the command that downloads them."""
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


def tokenizer_remedy(name: str) -> str:
    """Where a model's tokenizer is to be had."""
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


def digest(folder: Path) -> str:
    """BLAKE2b (hex) of a model's files: what its answers depend on, besides the device."""
    state = hashlib.blake2b(digest_size=16)
    read = ("*.json", "*.safetensors", *TOKENIZER_FILES)
    for path in sorted({path for pattern in read for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            state.update(path.name.encode() + hashlib.file_digest(file, "blake2b").digest())
    return state.hexdigest()


def check_tokenizer(name: str, folder: Path, remedy: str) -> None:
    """Raises ConfigError for a folder without a tokenizer's files. remedy: what to do then."""
    found = (path for pattern in TOKENIZER_FILES for path in folder.glob(pattern))
    if not any(path.is_file() and path.stat().st_size for path in found):
        raise ConfigError(
            f"Model {name!r}: the folder {str(folder)!r} has no tokenizer: no "
            f"{', '.join(TOKENIZER_FILES[:-1])} or {TOKENIZER_FILES[-1]}. {remedy}"
        )
    if elsewhere := next(_named_elsewhere(folder), ""):
        raise ConfigError(
            f"Model {name!r}: in the folder {str(folder)!r} {elsewhere}, which is no file of that "
            "folder. Download or save it again."
        )


def _named_elsewhere(folder: Path) -> Iterator[str]:
    """What a folder's files say of files that lie elsewhere: those are no part of its digest."""
    for path in sorted(folder.glob("*.json")):
        if path.name != "tokenizer_config.json" and not path.name.endswith(".index.json"):
            continue
        try:
            tree = json.loads(path.read_bytes())
            files = {key: name for key, name in tree.items() if key.endswith("_file")}
            named = [*files.values(), *tree.get("weight_map", {}).values()]
        except (ValueError, RecursionError, AttributeError):
            yield f"{path.name} is no JSON object"
            continue
        for name in named:
            if isinstance(name, str) and ("/" in name or "\\" in name):
                yield f"{path.name} names {name!r}"


def check_weights(name: str, folder: Path, configuration: str = "config.json") -> None:
    """Raises ConfigError for a folder without a configuration or with weights not to be read."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    problem = ""
    weights = sorted(folder.glob("*.safetensors"))
    if not (folder / configuration).is_file():
        problem = f"has no {configuration}: it is not a Hugging Face model"
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
        raise ConfigError(f"Model {name!r}: the folder {str(folder)!r} {problem}.")


def load_tokenizer(folder: Path) -> Any:
    """The `transformers` tokenizer of a folder, the fast one if it has one.

    Raises ConfigError where it cannot be loaded.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415

    try:
        with silent():
            return AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_fast=True
            )
    except Exception as error:  # any: what a corrupt file makes a library raise has no end
        raise ConfigError(
            f"The tokenizer of {str(folder)!r} cannot be loaded: {type(error).__name__}: "
            f"{first_line(error)} Name a folder with tokenizer.json and tokenizer_config.json, as "
            "save_pretrained(...) leaves them. If it was downloaded, download it again."
        ) from error


def load_network(kind: Any, folder: Path, dtype: torch.dtype, wanted: str) -> Any:
    """The network of a folder, by an AutoModel class of `transformers`.

    wanted: what it should be, for the error. Raises ConfigError where weights are missing, which
    would be random; and whatever transformers raises.
    """
    network, report = kind.from_pretrained(
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
            f"be random. Name {wanted}, saved whole."
        )
    return network


def first_line(error: Exception) -> str:
    """What went wrong, short enough for a message."""
    return (str(error).strip().splitlines() or [""])[0][:300]


@contextmanager
def silent() -> Iterator[None]:
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


def in_batches(
    device: torch.device,
    widths: Ints,
    rows: Ints,
    token_budget: int,
    run: Callable[[Ints], None],
    remedy: str,
) -> None:
    """Calls `run` on batches of `rows` (indices) of similar widths; halves them on out-of-memory.

    widths int64[n]: tokens that a row takes. token_budget: in a batch; 0 chooses by device.
    Raises RunError where one row alone does not fit. remedy: what to do then.
    """
    limit = token_budget or BUDGETS[device.type]
    waiting = plan(widths, rows, limit)[::-1]
    while waiting:
        pulse()
        batch = waiting.pop()
        tokens = batch.size * int(widths[batch].max())
        if batch.size > 1 and tokens > limit:
            middle = batch.size // 2
            waiting += [batch[middle:], batch[:middle]]
        elif _fits(run, batch):
            continue
        elif batch.size == 1:
            raise RunError(
                f"Out of memory on {device} with one sequence of {tokens} tokens: {remedy}"
            )
        else:
            limit = tokens // 2
            if device.type == "cuda":
                torch.cuda.empty_cache()
            waiting.append(batch)


def plan(widths: Ints, rows: Ints, token_budget: int) -> list[Ints]:
    """Rows in batches under a budget of tokens, longest first, of equals in their order."""
    ordered = rows[np.argsort(-widths[rows], kind="stable")]
    batches = []
    at = 0
    while at < ordered.size:
        size = max(1, token_budget // int(widths[ordered[at]]))
        batches.append(ordered[at : at + size])
        at += size
    return batches


def _fits(run: Callable[[Ints], None], batch: Ints) -> bool:
    """Runs a batch; False if memory ran out (what it held is free again on return)."""
    try:
        with torch.inference_mode():
            run(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch raised it for want of memory: on a CPU or Apple's GPU only the message says."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return "out of memory" in said or "can't allocate memory" in said
