"""How well scores tell what real models memorized, on labels that others published.

    python -m benchmarks.memorization.real --pair 6.9B MEMORIZED.pt RANDOM.pt pythia/
        --pair neo MEMORIZED.pt NEARLY.pt gpt-neo/ --table 70M LABELS.csv

None of the files is here; clone their repositories.

--pair NAME MEMORIZED OTHERS TOKENIZER   two tensors of token ids, int64[n, length], saved by torch,
    and the tokenizer they were made with: a folder, or a name in the Hugging Face cache, or
    "default". In terarachang/MemPi they are data/pile/MODEL/pile_bs0-100-dedup.pt and
    pile_random_batch.pt (memorized against ordinary text), in
    googleinterns/localizing-paragraph-memorization paragraphs/gpt-neo-125M/preds/50_50_preds.pt and
    11_29_preds.pt (50 of 50 tokens right against 11 to 29). Of int64[n, k, length] --row says which
    k is the text.
--table NAME FILE   a CSV with the columns shortened_text and memorized (True, False), as
    EleutherAI/semantic-memorization has in datasets/eval/.

Prints for each set the AUROC of every score, with the 95 % interval of a bootstrap over texts: .5
is chance. Copies are unknown. Each text is one sequence: its first 240 tokens of the reference
model. What these sets say, and do not: the memorized ones were filtered by their authors, of the
ordinary ones about 1 % are memorized too, and "memorized against ordinary" is a question of the
kind of text, which within a kind can have the opposite answer.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.memorization.evaluation import auroc, bootstrap, interval
from unrote.corpus.errors import InputError, UnroteError
from unrote.memorization import Config, score
from unrote.memorization.risk import categories
from unrote.memorization.text_features import text_features
from unrote.memorization.tokenizer import tokenizer_of

Floats = NDArray[np.float64]

HALF = 120
"""Tokens of a prefix and of a suffix: the default model reads 256."""

SIGNS = {
    "loss": -1, "loss_suffix": -1, "zlib_ratio": -1, "min_k": 1, "min_k_plus_plus": 1, "pz_log": 1,
    "extraction_strength": 1,
}  # fmt: skip
"""Measures of the reference model, and whether what has more of it should be memorized (1)."""

LEAST = -1e9
"""Stands for -inf: no sampling draws it."""


@dataclass(frozen=True)
class LabelledSet:
    """Texts, and whether a model memorized them: float64[n], 0 or 1."""

    name: str
    texts: list[str]
    labels: Floats


def pair(name: str, memorized: str, others: str, tokenizer: str, row: int) -> LabelledSet:
    """Of two tensors of token ids. Raises InputError for a file that holds none."""
    decode = tokenizer_of(tokenizer).decode_batch
    texts = [decode(token_ids(Path(path), row)) for path in (memorized, others)]
    return LabelledSet(name, [*texts[0], *texts[1]], np.repeat([1.0, 0.0], [*map(len, texts)]))


def token_ids(path: Path, row: int) -> list[list[int]]:
    """The token ids of each text. Raises InputError for another kind of file."""
    found = torch.load(path, weights_only=True)
    if isinstance(found, torch.Tensor) and found.dim() == 3 and row < found.shape[1]:
        found = found[:, row]
    if not isinstance(found, torch.Tensor) or found.dim() != 2 or found.is_floating_point():
        shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(
            f"{path} holds {shape}: give a tensor of token ids, [n, length], or [n, k, length] "
            "with --row below k."
        )
    return found.tolist()  # type: ignore[no-any-return]


def table(name: str, file: str) -> LabelledSet:
    """Of a CSV with texts and labels. Raises InputError where it lacks a column or a label."""
    with Path(file).open(encoding="utf-8", newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row.get("shortened_text") != "#ERROR!"]
    texts, labels = (
        [row.get(column) for row in rows] for column in ("shortened_text", "memorized")
    )
    if not rows or None in texts or not set(labels) <= {"True", "False"}:
        raise InputError(
            f"{file}: {len(rows)} rows, columns {', '.join(map(str, rows[0] if rows else ()))}. "
            "Give a CSV with shortened_text, and memorized, which is True or False."
        )
    return LabelledSet(name, [str(one) for one in texts], np.array(labels) == "True")


def scores_of(texts: Sequence[str], model: str) -> dict[str, Floats]:
    """Every score of each text, higher for what should be memorized: float64[n], NaN for none."""
    features = text_features(texts)
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    packed = np.array([len(zlib.compress(text.encode())) for text in texts], dtype=np.float64)
    measured = score(texts, model, config=Config(prefix=HALF, suffix=HALF))
    first = measured.take(np.unique(measured["doc"].to_numpy(), return_index=True)[1])
    columns = {name: first[name].cast("float64").to_numpy() for name in (*SIGNS, "extractable")}
    known = features | columns | {"copies": np.ones(len(texts))}
    known |= {"copies_near": np.zeros(len(texts))}
    return {
        "length, bytes": sizes,
        "template": features["template"],
        "repetition": features["repetition"],
        "template or repetition": np.maximum(features["template"], features["repetition"]),
        "rare words": -features["rare_words"],
        "word duplication": features["word_duplication"],
        "zlib, bytes for a byte": -packed / np.maximum(sizes, 1),
        "category: reconstruct": (categories(known, 1.0) == 1).astype(np.float64),
    } | {
        f"reference model: {name}": np.maximum(sign * columns[name], LEAST)
        for name, sign in SIGNS.items()
    }


def aurocs(scores: Mapping[str, Floats], labels: Floats, rounds: int) -> dict[str, Floats]:
    """Of each score its AUROC and the ends of the 95 % interval: float64[3]. Texts that lack a
    score (one token) are left out of that.
    """
    found = {}
    for name, values in scores.items():
        some = ~np.isnan(values)
        own, told = values[some], labels[some]
        drawn = bootstrap(
            lambda rows, own=own, told=told: np.array([auroc(own[rows], told[rows])]),
            np.arange(own.size),
            rounds,
            0,
        )
        found[name] = np.array([auroc(own, told), *interval(drawn)])
    return found


def report(sets: Sequence[LabelledSet], model: str, rounds: int) -> str:
    """The table, in Markdown."""
    columns = [aurocs(scores_of(one.texts, model), one.labels, rounds) for one in sets]
    heads = [f"{one.name} ({int(one.labels.sum())} of {len(one.texts)} memorized)" for one in sets]
    lines = ["| score | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(sets)]
    for name in columns[0]:
        cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*column[name]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pair", nargs=4, action="append", default=[])
    parser.add_argument("--table", nargs=2, action="append", default=[])
    parser.add_argument("--row", type=int, default=0)
    parser.add_argument("--model", default="default", help="the reference model")
    parser.add_argument("--rounds", type=int, default=1000, help="of the bootstrap")
    options = parser.parse_args(arguments)
    if not options.pair and not options.table:
        parser.error("give a --pair or a --table; --help says which public files there are")
    try:
        sets = [pair(*one, options.row) for one in options.pair]
        sets += [table(*one) for one in options.table]
        print(report(sets, options.model, options.rounds))
    except (UnroteError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
