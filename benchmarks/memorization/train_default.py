"""Makes the default reference model of `memorization/default/`: data, tokenizer, training, figures.

    pip install torch transformers tokenizers safetensors
    python -m benchmarks.memorization.train_default prepare --work WORK --prose prose.jsonl.zst
    python -m benchmarks.memorization.train_default train --work WORK
    python -m benchmarks.memorization.train_default evaluate --work WORK

`prepare` fetches the documentation packages (Debian or Ubuntu, after `apt-get update`), takes the
held-out documents aside (memorization/heldout.py), deduplicates with unrote itself, and learns the
tokenizer. The prose is a JSON Lines file with `text` and `source`: MASC and the inaugural and State
of the Union addresses. `train` writes a checkpoint every few minutes and goes on from it when it
was stopped. `evaluate` measures on the held-out documents and writes the model card.
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import math
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson
import torch
import zstandard
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from benchmarks import debian
from unrote.memorization.heldout import HELD_OUT_SHARE, is_held_out
from unrote.memorization.proxy import FALL, WARM_UP_STEPS, optimizers, rate

DEFAULT_MODEL = Path(__file__).parents[2] / "memorization" / "default"
CARD = Path(__file__).with_name("default_card.md")


@dataclass(frozen=True)
class Source:
    """Text of one origin: its share of the tokens seen in training, and where it may be used."""

    share: float
    licence: str
    what: str


# Prose is 5 MB beside 100 MB of documentation and would be 5 % of an even mixture. Shares are set
# by hand instead: prose and guides get more than their bytes would give them, since what the model
# scores is mostly sentences, and an API reference, whose pages differ in names, the least.
SOURCES = {
    "MASC": Source(
        0.14,
        "open for research and development, commercial included",
        "speech, letters, blogs, news, fiction",
    ),
    "state_union": Source(0.07, "public domain", "US State of the Union addresses"),
    "inaugural": Source(0.03, "public domain", "US inaugural addresses"),
    "debian-handbook": Source(0.04, "GPL-2+ or CC-BY-SA-3.0", "a handbook for administrators"),
    "git-doc": Source(0.07, "GPL-2", "manual pages and guides"),
    "libreoffice-help-en-us": Source(0.06, "MPL-2.0", "help pages of an office suite"),
    "linux-doc-6.1": Source(0.23, "GPL-2", "documentation of the kernel"),
    "openjdk-17-doc": Source(0.10, "GPL-2 with Classpath exception", "Java API reference"),
    "postgresql-doc-15": Source(0.11, "PostgreSQL", "manual of a database"),
    "python3.11-doc": Source(0.15, "PSF-2.0", "manual, tutorials and library reference"),
}
PROSE = ("MASC", "state_union", "inaugural")
PACKAGES = tuple(name for name in SOURCES if name not in PROSE)

VOCABULARY = 4096
BOS, EOS = "<s>", "</s>"
TOKENIZER_BYTES = 40_000_000

CONTEXT = 256
BATCH_TOKENS = 8_192
MICRO_BATCH = 16
SEED = 20_240_501
LEARNING_RATE = 4e-3
CHECKPOINT_STEPS = 25
EVALUATION_BYTES = 250_000


# Data


def is_english(name: str) -> bool:
    """Whether the file is in English, as not all of the handbook and the kernel's pages are."""
    translated = "/debian-handbook/html/" in name and "/en-US/" not in name
    return not translated and "/translations/" not in name


def raw_rows(work: Path, prose: Path) -> Iterator[dict[str, str]]:
    """Every document of every source, with `id`, `text` and `source`."""
    folder = debian.unpack(work, PACKAGES)
    for size, line in debian.documents(folder, PACKAGES):
        row = orjson.loads(line) if size else {}
        if row and is_english(row["id"]):
            yield row
    with zstandard.open(prose, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = orjson.loads(line)
            yield {"id": row["id"], "text": row["text"], "source": row["source"]}


def deduplicate(work: Path, prose: Path) -> Path:
    """Splits the documents, then removes what occurs twice; the folder of what stays.

    The held-out documents come first in unrote's order, and it is the first copy that stays. So no
    passage of 100 bytes or more (cuts are at word boundaries) of a held-out document is trained on.
    """
    raw, out = work / "raw", work / "deduplicated"
    raw.mkdir(parents=True, exist_ok=True)
    with (
        (raw / "1-held-out.jsonl").open("wb") as held_out,
        (raw / "2-train.jsonl").open("wb") as rest,
    ):
        for row in raw_rows(work, prose):
            file = held_out if is_held_out(row["text"]) else rest
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    command = [Path(sys.executable).with_name("unrote"), "dedup", raw, "-o", out, "--fresh"]
    subprocess.run([*map(str, command), "--set", "dedup.passages.min_remaining=200"], check=True)
    return out


def texts_by_source(path: Path) -> dict[str, list[str]]:
    """The documents of a shard, by source."""
    found: dict[str, list[str]] = {name: [] for name in SOURCES}
    with path.open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            found[row["source"]].append(row["text"])
    return found


def shard(work: Path, name: str) -> Path:
    [path] = (work / "deduplicated").rglob(f"{name}.jsonl*")
    return path


def sample(texts: dict[str, list[str]], size: int) -> Iterator[str]:
    """About `size` bytes of text, from each source its share, or all of it where it has less."""
    for name, source in SOURCES.items():
        documents = texts[name].copy()
        random.Random(SEED).shuffle(documents)
        left = source.share * size
        for text in documents:
            if left <= 0:
                break
            yield text
            left -= len(text.encode())


def learn_tokenizer(texts: dict[str, list[str]]) -> PreTrainedTokenizerFast:
    """A byte-level BPE, so that any text comes back as it went in."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(texts, TOKENIZER_BYTES), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
        split_special_tokens=True,  # "<s>" in a text is three characters of it
    )


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Writes the tokenizer under the class name that transformers 4 and 5 both know."""
    tokenizer.save_pretrained(out)
    path = out / "tokenizer_config.json"
    settings = orjson.loads(path.read_bytes()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_bytes(orjson.dumps(settings, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> np.ndarray:
    """Token numbers (uint16) of the documents one after another, each as BOS, text, EOS."""
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    chunks = []
    for start in range(0, len(texts), 256):
        encoded = tokenizer(texts[start : start + 256], add_special_tokens=False, verbose=False)[
            "input_ids"
        ]
        chunks += [np.array([bos, *ids, eos], dtype=np.uint16) for ids in encoded]
    return np.concatenate(chunks)


def prepare(arguments: argparse.Namespace) -> None:
    work: Path = arguments.work
    deduplicate(work, arguments.prose)
    texts = texts_by_source(shard(work, "2-train"))
    tokenizer = learn_tokenizer(texts)
    save_tokenizer(tokenizer, arguments.out)
    tokens = work / "tokens"
    tokens.mkdir(exist_ok=True)
    sheet = {}
    for name in SOURCES:
        ids = encode(tokenizer, texts[name])
        np.save(tokens / f"{name}.npy", ids)
        size = sum(len(text.encode()) for text in texts[name])
        sheet[name] = {"documents": len(texts[name]), "bytes": size, "tokens": len(ids)}
        print(
            f"{name:24} {len(texts[name]):6,} documents {size / 1e6:6.1f} MB {len(ids):11,} tokens"
        )
    archives = [
        path.name for name in PACKAGES for path in (work / "packages").glob(f"{name}_*.deb")
    ]
    sheet["packages"] = archives
    (work / "data.json").write_bytes(orjson.dumps(sheet, option=orjson.OPT_INDENT_2))


# Training


def configuration() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=576,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )


def batch(tokens: dict[str, np.ndarray], step: int, bos: int) -> torch.Tensor:
    """The windows of a step, int64 [BATCH_TOKENS / CONTEXT, CONTEXT + 1]; the same for every run.

    Each begins with BOS, wherever in a document it was cut, as texts do when they are scored.
    """
    generator = np.random.default_rng([SEED, step])
    shares = np.array([SOURCES[name].share for name in tokens])
    streams = list(tokens.values())
    windows = np.full((BATCH_TOKENS // CONTEXT, CONTEXT + 1), bos, dtype=np.int64)
    for window, source in zip(
        windows, generator.choice(len(streams), size=len(windows), p=shares), strict=True
    ):
        start = generator.integers(len(streams[source]) - CONTEXT)
        window[1:] = streams[source][start : start + CONTEXT]
    return torch.from_numpy(windows)


def work_on(rank: int, workers: int, work: Path, out: Path, steps: int) -> None:
    """One of the training processes: a share of each batch, gradients averaged over all of them.

    Processes of one thread each, not threads: on a machine with other work, threads wait for one
    another at every operation, and processes only at the end of a step.
    """
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    torch.manual_seed(SEED)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{work}/rendezvous", rank=rank, world_size=workers
    )
    model = LlamaForCausalLM(configuration())
    learners = optimizers(model, LEARNING_RATE)
    first, before = restore(work, model, learners)
    tokens = {name: np.load(work / "tokens" / f"{name}.npy", mmap_mode="r") for name in SOURCES}

    @torch.compile
    def loss_of(windows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=windows[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), windows[:, 1:].flatten()
        )

    began, seen = time.monotonic(), 0.0
    for step in range(first, steps):
        parts = (
            batch(tokens, step, model.config.bos_token_id).chunk(workers)[rank].split(MICRO_BATCH)
        )
        total = torch.zeros(1)
        for part in parts:
            loss = loss_of(part) / len(parts)
            loss.backward()
            total += loss.detach()
        average_gradients(model, total, workers)
        for learner in learners:
            for group in learner.param_groups:
                group["lr"] = LEARNING_RATE * rate(step / steps, step)
            learner.step()
            learner.zero_grad()
        seen = total.item() if not seen else 0.95 * seen + 0.05 * total.item()
        if rank == 0 and ((step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == steps):
            speed = (step + 1 - first) * BATCH_TOKENS / (time.monotonic() - began)
            print(f"step {step + 1} of {steps}, loss {seen:.3f}, {speed:,.0f} tokens/s", flush=True)
            save(work, out, model, learners, step + 1, before + time.monotonic() - began)
    torch.distributed.destroy_process_group()


def average_gradients(model: LlamaForCausalLM, loss: torch.Tensor, workers: int) -> None:
    """Averages loss and gradients over the processes, and clips the gradients' norm to 1."""
    gradients = [p.grad for p in model.parameters()]
    flat = torch.cat([loss, *(g.flatten() for g in gradients)])
    torch.distributed.all_reduce(flat)
    flat /= workers
    loss.copy_(flat[:1])
    for gradient, chunk in zip(
        gradients, flat[1:].split([g.numel() for g in gradients]), strict=True
    ):
        gradient.copy_(chunk.view_as(gradient))
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def save(
    work: Path,
    out: Path,
    model: LlamaForCausalLM,
    learners: list[torch.optim.Optimizer],
    step: int,
    seconds: float,
) -> None:
    """Writes the checkpoint to go on from, and the model as it is now to `out`, in float16."""
    state = {
        "step": step,
        "seconds": seconds,
        "workers": torch.distributed.get_world_size(),
        "model": model.state_dict(),
        "learners": [learner.state_dict() for learner in learners],
    }
    torch.save(state, work / "checkpoint.partial")
    (work / "checkpoint.partial").rename(work / "checkpoint.pt")
    half = LlamaForCausalLM(configuration())
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(out)


def restore(
    work: Path, model: LlamaForCausalLM, learners: list[torch.optim.Optimizer]
) -> tuple[int, float]:
    """Puts the last checkpoint's state back, if there is one; steps and seconds behind it."""
    path = work / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    for learner, saved in zip(learners, state["learners"], strict=True):
        learner.load_state_dict(saved)
    return state["step"], state["seconds"]


def train(arguments: argparse.Namespace) -> None:
    work, out = arguments.work.resolve(), arguments.out.resolve()
    (work / "rendezvous").unlink(missing_ok=True)
    torch.multiprocessing.spawn(
        work_on, (arguments.workers, work, out, arguments.steps), nprocs=arguments.workers
    )


# Figures


@dataclass
class Figures:
    """Of held-out text, by way to encode it: bits for each byte of UTF-8."""

    documents: int
    size: int
    model: float
    xz: float
    zstd: float


def nats(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> float:
    """The model's negative log-likelihood of all the texts, each from its beginning.

    Windows of CONTEXT tokens, BOS included, overlap by half: each token is counted once, in the
    window that shows at least CONTEXT / 2 tokens before it, or all there are.
    """
    step = CONTEXT // 2
    windows = []
    for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
        for start in range(0, max(1, len(ids) - step), step):
            window = np.full(CONTEXT + 1, -100)
            chunk = ids[start : start + CONTEXT]
            window[0], window[1 : len(chunk) + 1] = tokenizer.bos_token_id, chunk
            windows.append((window, step if start else 0))
    total = 0.0
    for first in range(0, len(windows), 32):
        rows = torch.from_numpy(np.stack([window for window, _ in windows[first : first + 32]]))
        targets = rows[:, 1:].clone()
        for target, (_, seen) in zip(targets, windows[first : first + 32], strict=True):
            target[:seen] = -100  # counted in the window before
        with torch.inference_mode():
            logits = model(input_ids=rows[:, :-1].clamp(min=0), use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="sum"
        )
        total += loss.item()
    return total


def figures(out: Path, texts: list[str]) -> Figures:
    """Of one source, in a process of one thread (`work_on` says why)."""
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    data = "".join(texts).encode()
    packed = {
        "xz": lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "zstd": zstandard.ZstdCompressor(level=19).compress(data),
    }
    bits = {name: 8 * len(result) / len(data) for name, result in packed.items()}
    bits["model"] = nats(model, tokenizer, texts) / math.log(2) / len(data)
    return Figures(len(texts), len(data), **bits)


def within(texts: list[str], limit: int) -> list[str]:
    """Documents in the order of a hash, up to `limit` bytes in all; a long one is cut there."""
    found, left = [], limit
    for text in sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest()):
        if left <= 0:
            break
        found.append(text.encode()[:left].decode(errors="ignore"))
        left -= len(found[-1].encode())
    return found


def mean(rows: list[Figures]) -> Figures:
    """Each source's bits weighted with its bytes."""
    size = sum(row.size for row in rows)

    def weighted(name: str) -> float:
        return sum(getattr(row, name) * row.size for row in rows) / size

    ways = {name: weighted(name) for name in ("model", "xz", "zstd")}
    return Figures(sum(row.documents for row in rows), size, **ways)


def table(found: dict[str, Figures]) -> str:
    prose = [found[name] for name in PROSE]
    documentation = [found[name] for name in PACKAGES]
    sums = {
        "**prose**": mean(prose),
        "**documentation**": mean(documentation),
        "**all**": mean(prose + documentation),
    }
    lines = [
        "| source | documents | kB | this model | `xz -9e` | `zstd -19` |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in (found | sums).items():
        bits = f"**{row.model:.3f}** | {row.xz:.3f} | {row.zstd:.3f}"
        lines.append(f"| {name} | {row.documents:,} | {row.size / 1000:,.0f} | {bits} |")
    return "\n".join(lines)


def sources_table(sheet: dict[str, Any], tokens: int) -> str:
    lines = [
        "| source | what | licence | documents | MB | share of training | times seen |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for name, source in SOURCES.items():
        row = sheet[name]
        times = source.share * tokens / row["tokens"]
        lines.append(
            f"| {name} | {source.what} | {source.licence} | {row['documents']:,} "
            f"| {row['bytes'] / 1e6:.1f} | {source.share:.0%} | {times:.1f} |"
        )
    return "\n".join(lines)


def evaluate(arguments: argparse.Namespace) -> None:
    """Measures the model in the folder and writes its card there."""
    work, out = arguments.work, arguments.out
    texts = texts_by_source(shard(work, "1-held-out"))
    parts = [within(texts[name], EVALUATION_BYTES) for name in SOURCES]
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        found = dict(zip(SOURCES, pool.map(partial(figures, out), parts), strict=True))
    print(table(found))
    state = torch.load(work / "checkpoint.pt", weights_only=True)
    sheet = orjson.loads((work / "data.json").read_bytes())
    tokens = state["step"] * BATCH_TOKENS
    config = LlamaConfig.from_pretrained(out)
    card = CARD.read_text().format(
        parameters=LlamaForCausalLM(config).num_parameters() / 1e6,
        megabytes=sum(path.stat().st_size for path in out.iterdir()) / 1e6,
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        inner=config.intermediate_size,
        heads=config.num_attention_heads,
        vocabulary=VOCABULARY,
        context=CONTEXT,
        half=CONTEXT // 2,
        held_out=HELD_OUT_SHARE,
        kilobytes=EVALUATION_BYTES // 1000,
        figures=table(found),
        sources=sources_table(sheet, tokens),
        packages="\n".join(f"- `{unquote(name)}`" for name in sheet["packages"]),
        steps=state["step"],
        batch=BATCH_TOKENS,
        tokens=tokens / 1e6,
        rate=LEARNING_RATE,
        warm_up=WARM_UP_STEPS,
        fall=FALL,
        seed=SEED,
        minutes=state["seconds"] / 60,
        speed=tokens / state["seconds"],
        workers=state["workers"],
        machine=f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        torch=torch.__version__,
    )
    (out / "README.md").write_text(card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=["prepare", "train", "evaluate"])
    parser.add_argument("--work", type=Path, default=debian.DEFAULT_WORK, help="work folder")
    parser.add_argument("--prose", type=Path, help="JSON Lines, zstd: text and source")
    parser.add_argument("--steps", type=int, default=1000, help="of 8,192 tokens")
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--out", type=Path, default=DEFAULT_MODEL, help="the model's folder")
    arguments = parser.parse_args()
    if arguments.step == "prepare" and not arguments.prose:
        parser.error("prepare needs --prose, a file of JSON Lines packed with zstd")
    {"prepare": prepare, "train": train, "evaluate": evaluate}[arguments.step](arguments)


if __name__ == "__main__":
    main()
