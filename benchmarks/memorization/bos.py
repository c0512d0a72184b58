"""Is the fit for proxy models the same now that the reference model begins with BOS?

    python -m benchmarks.memorization.bos TEXTS.jsonl [--windows 400]

memorization/default/risk.json was fitted to measures that the default model took without its
beginning-of-text token. To fit it again, the models of the experiment have to be trained again
(ground_truth.py, ordinary.py). This measures what that could change: windows of the field `text` of
the file, of the experiment's length, are measured both ways, and the risk predicted from either, by
copies. Beside it stands what the fit says without the reference model, and its calibration error.
Take text that the model was not trained on (memorization.heldout).
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.memorization import planted
from unrote import memorization
from unrote.memorization.heldout import is_held_out
from unrote.memorization.model import LanguageModel, load
from unrote.memorization.proxy_risk import ProxyRisk
from unrote.memorization.scores import MODEL_FEATURES
from unrote.memorization.text_features import text_features

COPIES = (1, 2, 4, 8, 12, 16, 24, 32)

CALIBRATION_ERROR = 0.030
"""Of the fit, on a seed not fitted on: README.md."""

Floats = NDArray[np.float64]


def windows(path: Path, count: int, model: LanguageModel) -> list[str]:
    """So many texts of planted.LENGTH tokens, of documents that the model has not read."""
    rows = (orjson.loads(line) for line in path.read_bytes().splitlines())
    texts = [row["text"] for row in rows if is_held_out(row["text"])]
    order, found = random.Random(planted.SEED), []
    ids = [model.tokenizer.encode(text).ids for text in texts]
    able = [one for one in ids if len(one) > planted.LENGTH]
    for one in order.choices(able, weights=[len(one) for one in able], k=count):
        first = order.randrange(len(one) - planted.LENGTH)
        found.append(model.tokenizer.decode(one[first : first + planted.LENGTH]))
    return found


def measured(texts: Sequence[str], model: LanguageModel) -> dict[str, Floats]:
    """What the risk is predicted from, but for copies."""
    config = memorization.Config(prefix=planted.PREFIX, suffix=planted.LENGTH - planted.PREFIX)
    table = memorization.score(list(texts), model, config=config)
    table = table.take(np.unique(table["doc"].to_numpy(), return_index=True)[1])
    names = (*MODEL_FEATURES, "suffix_tokens")
    return {name: table[name].to_numpy().astype(np.float64) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("--windows", type=int, default=400)
    options = parser.parse_args()
    model, fitted = load("default", device="cpu"), ProxyRisk.load()
    texts = windows(options.texts, options.windows, model)
    features = text_features(texts)
    now, before = (
        features | measured(texts, replace(model, adds_bos=with_bos)) for with_bos in (True, False)
    )
    print(f"{len(texts)} windows; suffix loss {now['loss_suffix'].mean():.3f} with BOS, "
          f"{before['loss_suffix'].mean():.3f} without; prefix loss "
          f"{now['loss_prefix'].mean():.3f} and {before['loss_prefix'].mean():.3f}\n")  # fmt: skip
    print("| copies | risk without BOS | with | mean of the difference | of its size | "
          "size of the difference to the fit by text alone |")  # fmt: skip
    print("|--:|--:|--:|--:|--:|--:|")
    for n in COPIES:
        copies = {"copies": np.full(len(texts), float(n))}
        old, new, text = (fitted.predict(one | copies) for one in (before, now, features))
        change, apart = new - old, new - text
        sizes = (abs(change).mean(), abs(apart).mean())
        numbers = (old.mean(), new.mean(), change.mean(), *sizes)
        print(f"| {n} | " + " | ".join(f"{number:.3f}" for number in numbers) + " |")
    print(f"\nCalibration error of the fit: {CALIBRATION_ERROR:.3f}.")


if __name__ == "__main__":
    main()
