"""Ground truth: small LMs are trained on text with planted and natural copies, and prompted.

    pip install torch transformers tokenizers safetensors
    python -m benchmarks.memorization.ground_truth all --work WORK --data DATA

or step by step: `prepare`, `train proxy` and `train A`, `predict`, `train B` and `train B-small`,
`report`. DATA holds prose.jsonl.zst and license-texts.jsonl.zst (`text`, `source` or `family`);
documentation comes from Debian packages (after `apt-get update`). A training is one process of one
thread; two at a time use two cores.

`predict` fits the risk on seed A (memorization/default/risk.json) and writes predictions.csv for
seed B, before it is trained: `train B` refuses to begin without. Commit that file first. `report`
compares, and writes ground_truth.json and its part of README.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import pickle
import platform
import random
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import torch

from benchmarks.memorization import evaluation, ground_truth_report, planted
from benchmarks.memorization.planted import Document, Plan, Target
from unrote import memorization
from unrote.memorization import proxy, proxy_risk
from unrote.memorization.heldout import is_held_out
from unrote.memorization.model import LanguageModel, load
from unrote.memorization.text_features import text_features
from unrote.memorization.tokenizer import pretrained_tokenizer
from unrote.memorization.windows import Ints, Sequences

HERE = Path(__file__).parent
PREDICTIONS, RESULTS, README = (
    HERE / name for name in ("predictions.csv", "ground_truth.json", "README.md")
)
EPOCHS = 2
SHAPES = {
    "main": proxy.Shape(),
    "small": proxy.Shape(layers=3, width=128, inner=320, heads=2),
}
RUNS = {
    "A": (0, "main", 1.0),
    "B": (1, "main", 1.0),
    "B-small": (1, "small", 1.0),
    "proxy": (1, "small", 0.25),
}
"""Seed, shape, and the share of the training documents that are read."""

ROUNDS = 500
SHORT_OF_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000"}
"""Keeps freed memory in the process: handing it back and forth costs a third of the time."""


# Data


def prepare(arguments: argparse.Namespace) -> None:
    """Documents, targets, and who is planted how often: WORK/experiment.pickle."""
    fast = pretrained_tokenizer("default").backend_tokenizer
    order = random.Random(planted.SEED)
    plan = Plan()
    every = list(planted.documents(arguments.work, arguments.data / "prose.jsonl.zst"))
    held = [one for one in every if is_held_out(one.text)]
    background, licences = planted.background(every, arguments.data, plan, fast, order)
    planted.encode(held, fast)
    targets = planted.targets(held, background, plan, fast, order)
    targets += planted.templates(plan, fast, order)
    targets += planted.natural(licences, plan, fast, order)
    found = (plan, background, targets)
    (arguments.work / "experiment.pickle").write_bytes(pickle.dumps(found))
    print(f"{len(background)} documents, {sum(one.ids.size for one in background):,} tokens")
    print(sorted(Counter((one.arm, one.half) for one in targets).items()))


def experiment(work: Path) -> tuple[Plan, list[Document], list[Target]]:
    return pickle.loads((work / "experiment.pickle").read_bytes())


def training_text(background: list[Document], targets: list[Target], seed: int) -> list[Ints]:
    unigrams = np.concatenate([one.ids for one in background])
    documents = [one.ids for one in background]
    return planted.training_documents(documents, targets, seed, unigrams)


# Training


def train(arguments: argparse.Namespace) -> None:
    """One of RUNS: WORK/labels-NAME.npz holds what the model emits of every target."""
    name, work = arguments.run, arguments.work
    seed, size, share = RUNS[name]
    if name in {"B", "B-small"} and not PREDICTIONS.exists():
        sys.exit(f"{PREDICTIONS} is not there: predict (and commit) before seed B is trained.")
    torch.set_num_threads(1)
    _, background, targets = experiment(work)
    documents = training_text(background, targets, seed)
    if share < 1:
        chosen = np.random.default_rng([5, seed]).permutation(len(documents))
        documents = [documents[row] for row in chosen[: round(share * len(documents))]]
    began, printed = time.monotonic(), [0.0]

    def progress(done: float, loss: float) -> None:
        if time.monotonic() - printed[0] > 30:
            printed[0] = time.monotonic()
            print(f"{name} {done:.3f} loss {loss:.3f} {printed[0] - began:.0f} s", flush=True)

    made = proxy.train(
        documents,
        pretrained_tokenizer("default"),
        SHAPES[size],
        epochs=EPOCHS,
        seed=seed,
        compiled=size == "main",
        progress=progress,
    )
    seconds = time.monotonic() - began
    made.model.network.save_pretrained(work / f"model-{name}")
    keep(work, name, made.model, targets, made, seconds)


def keep(
    work: Path,
    name: str,
    model: LanguageModel,
    targets: list[Target],
    made: proxy.Trained,
    seconds: float,
) -> None:
    labels = extraction(model, targets)
    facts = {
        "tokens": made.tokens,
        "steps": made.steps,
        "loss": made.loss,
        "seconds": seconds,
        "parameters": model.network.num_parameters(),
    }
    np.savez(work / f"labels-{name}.npz", **labels._asdict(), **facts)
    print(name, facts, f"extractable {labels.extractable.mean():.3f}", flush=True)


def extraction(model: LanguageModel, targets: list[Target]) -> proxy.Extraction:
    """Of every target: a prefix of 32 tokens, a suffix of 32."""
    n = len(targets)
    ids = np.array([target.ids for target in targets], dtype=np.int64)
    none = np.zeros(n, dtype=np.int64)
    prompts = Sequences(
        ids.ravel(),
        np.arange(n + 1) * planted.LENGTH,
        none + planted.PREFIX,
        np.arange(n),
        none,
        none,
        none,
    )
    return proxy.extraction(model, prompts)


# Features and predictions


def features(work: Path, seed: int) -> dict[str, np.ndarray]:
    """What the product knows of every target, with the copies in the seed's training text."""
    path = work / f"features-{seed}.npz"
    if path.exists():
        return dict(np.load(path))
    _, background, targets = experiment(work)
    fast = pretrained_tokenizer("default").backend_tokenizer
    texts = [target.text for target in targets]
    documents = [
        fast.decode(ids.tolist(), skip_special_tokens=False)
        for ids in training_text(background, targets, seed)
    ]
    config = memorization.Config(prefix=planted.PREFIX, suffix=planted.LENGTH - planted.PREFIX)
    table = memorization.score(texts, load("default", "cpu"), config=config)
    assert table.num_rows == len(targets)
    names = ("loss", "loss_prefix", "loss_suffix", "min_k", "pz_log", "suffix_tokens")
    found = {name: table[name].to_numpy().astype(np.float64) for name in names}
    found |= text_features(texts)
    found["copies"], found["copies_near"] = planted.copies(texts, documents)
    found |= baselines(targets, background)
    np.savez(path, **found)
    return found


def baselines(targets: list[Target], background: list[Document]) -> dict[str, np.ndarray]:
    """What others would go by, beside what is among the features."""
    ids = np.array([target.ids for target in targets], dtype=np.int64)
    text = np.concatenate([one.ids for one in background])
    unigram, trigram = planted.ngram_logprobs(text, ids)
    suffix = slice(planted.PREFIX, None)
    data = [target.text.encode() for target in targets]
    return {
        "characters": np.array([float(len(target.text)) for target in targets]),
        "zlib": np.array([len(zlib.compress(one)) / len(one) for one in data]),
        "unigram": unigram[:, suffix].mean(axis=1),
        "ngram": trigram[:, suffix].mean(axis=1),
    }


COLUMNS = ("copies", "copies_near", "loss_prefix", "loss_suffix", "pz_log", "min_k", "loss",
           "template", "repetition", "rare_words", "suffix_tokens")  # fmt: skip
GROUPS = {
    "copies": ("copies", "copies_near"),
    "near copies": ("copies_near",),
    "reference model": ("loss_prefix", "loss_suffix", "pz_log", "min_k", "loss"),
    "suffix predictability": ("loss_suffix", "pz_log", "min_k"),
    "prefix rarity": ("loss_prefix", "rare_words"),
    "text": ("template", "repetition", "rare_words"),
}
SINGLE = {
    "length": "characters",
    "log copies": "copies",
    "near-duplicate count": "near",
    "zlib": "zlib",
    "unigram log-frequency": "unigram",
    "n-gram LM": "ngram",
    "reference PPL": "loss",
    "Min-K%": "min_k",
}


def taken(columns: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: columns[name][rows] for name in COLUMNS}


def without(columns: dict[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    """The columns, those of a group the same for all."""
    same = {"copies": 1.0, "copies_near": 0.0}
    return columns | {
        name: np.full(len(columns["copies"]), same.get(name, 0.0)) for name in GROUPS[group]
    }


def tested(targets: list[Target], seed: int, copies: np.ndarray) -> np.ndarray:
    """Rows of the seed's half that are in its text: those fitted on, or predicted.

    Natural ones may not be there any more, where a planted copy lies across them.
    """
    mine = np.array([target.half == seed % 2 for target in targets])
    return np.flatnonzero(mine & (copies >= 1))


def predict(arguments: argparse.Namespace) -> None:
    """Fits on seed A, ships the coefficients, and writes what they say of seed B."""
    work = arguments.work
    _, _, targets = experiment(work)
    known = {seed: features(work, seed) for seed in (0, 1)}
    labels_a = np.load(work / "labels-A.npz")
    rows = tested(targets, 0, known[0]["copies"])
    groups = np.array([targets[row].document for row in rows])
    columns, labels = taken(known[0], rows), labels_a["extractable"][rows]
    card = {
        "what": "the probability that greedy decoding gives the 32-token suffix after a 32-token "
        "prefix, of a decoder trained from scratch on the text",
        "fitted_on": f"{rows.size} sequences of seed A, {labels.sum():.0f} of them extractable",
        "model": f"{int(labels_a['parameters']):,} parameters",
        "tokens": f"{int(labels_a['tokens']):,} read in training",
        "epochs": EPOCHS,
        "seed": "A (0); folds and calibration by document",
        "made_by": "python -m benchmarks.memorization.ground_truth predict",
        "how_good": "benchmarks/memorization/README.md, on a seed and a model size not fitted on",
    }
    made = proxy_risk.fit(
        columns, labels, groups, extracted_tokens=labels_a["extracted_tokens"][rows], card=card
    )
    made.save(Path(proxy_risk.__file__).parent / proxy_risk.SHIPPED)
    scores = predictions(work, made, known, targets, columns, labels, groups)
    every = shown(targets, known[1]["copies"])
    with PREDICTIONS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["target", "arm", "level", "in", "copies", "copies_near", *scores])
        for row in every:
            target = targets[row]
            facts = [row, target.arm, target.level, int(target.half == 1)]
            facts += [f"{known[1][name][row]:.4g}" for name in ("copies", "copies_near")]
            # Of what is left out only the content is scored (T4).
            written = scores if target.half == 1 else {"risk without copies"}
            writer.writerow(
                facts + [f"{scores[name][row]:.4g}" if name in written else "" for name in scores]
            )
    print(f"{PREDICTIONS}: {every.size} sequences. Commit it before seed B is trained.")


def shown(targets: list[Target], copies: np.ndarray) -> np.ndarray:
    """Rows of predictions.csv: those in seed B's text, and the planted arms' OUT ones."""
    planted_arms = [row for row, target in enumerate(targets) if target.arm != "natural"]
    return np.union1d(tested(targets, 1, copies), planted_arms)


def predictions(
    work: Path,
    made: proxy_risk.ProxyRisk,
    known: dict[int, dict[str, np.ndarray]],
    targets: list[Target],
    columns: dict[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
) -> dict[str, np.ndarray]:
    """Scores of all targets for seed B, higher riskier, by system."""
    whole = taken(known[1], np.arange(len(targets)))
    scores = {"risk": made.predict(whole)}
    bare = {name: c for name, c in whole.items() if name not in GROUPS["reference model"]}
    scores["risk, text only"] = made.predict(bare)
    for group in GROUPS:
        fewer = proxy_risk.fit(without(columns, group), labels, groups)
        scores[f"risk without {group}"] = fewer.predict(without(whole, group))
    rows = tested(targets, 0, known[0]["copies"])
    for name, column in SINGLE.items():
        first, second = (column_of(known[seed], column) for seed in (0, 1))
        levels = np.array([targets[row].level for row in rows])
        sign = 1.0 if column in {"copies", "near"} else oriented(first[rows], labels, levels)
        scores[name] = sign * second
    scores["log-copies x reference PPL"] = crossed(known, rows, labels)
    scores["proxy run"] = np.load(work / "labels-proxy.npz")["log_pz"]
    scores["random"] = np.random.default_rng(planted.SEED).random(len(targets))
    return scores


def column_of(columns: dict[str, np.ndarray], name: str) -> np.ndarray:
    return columns["copies"] + columns["copies_near"] if name == "near" else columns[name]


def oriented(scores: np.ndarray, labels: np.ndarray, levels: np.ndarray) -> float:
    """1 if higher is riskier within copy levels on seed A, else -1."""
    return 1.0 if evaluation.auroc_within(scores, labels, levels) >= 0.5 else -1.0


def crossed(
    known: dict[int, dict[str, np.ndarray]], rows: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Logistic regression on log copies, reference PPL and their product, fitted on seed A."""

    def design(columns: dict[str, np.ndarray]) -> np.ndarray:
        c, loss = np.log(np.maximum(columns["copies"], 1.0)), columns["loss"] - 3
        return np.column_stack([np.ones(c.size), c, loss, c * loss])

    beta = proxy_risk.newton(design(known[0])[rows], labels, np.array([1e-3, 1e-2, 1.0, 1.0]))
    return 1 / (1 + np.exp(-design(known[1]) @ beta))


# Report


def stored_predictions() -> dict[str, np.ndarray]:
    """predictions.csv by column; `arm` is text, NaN what is unknown."""
    with PREDICTIONS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, np.ndarray] = {"arm": np.array([row["arm"] for row in rows])}
    for name in rows[0]:
        if name != "arm":
            found[name] = np.array([float(row[name] or "nan") for row in rows])
    return found


def systems(predicted: dict[str, np.ndarray]) -> list[str]:
    facts = {"target", "arm", "level", "in", "copies", "copies_near"}
    return [name for name in predicted if name not in facts]


def measured(
    predicted: dict[str, np.ndarray], labels: np.ndarray, log_pz: np.ndarray, documents: np.ndarray
) -> dict:
    """Per system: T1 and T2 AUROC with intervals, the risk's lead in T2, T2 for a graded label
    (rank correlation with the log-probability of the suffix), AP and recall.

    Of the planted sequences that are in the text.
    """
    names = systems(predicted)
    levels = predicted["level"]

    def both(rows: np.ndarray) -> np.ndarray:
        y, at = labels[rows], levels[rows]
        values = []
        for name in names:
            score = predicted[name][rows]
            values += [evaluation.auroc(score, y), evaluation.auroc_within(score, y, at)]
        return np.array(values)

    everything = np.arange(labels.size)
    point = both(everything).reshape(-1, 2)
    drawn = evaluation.bootstrap(both, documents, ROUNDS, planted.SEED).reshape(ROUNDS, -1, 2)
    own, hidden = names.index("risk"), names.index("risk without copies")
    found = {}
    for k, name in enumerate(names):
        score = predicted[name]
        found[name] = {
            "t1": [point[k, 0], *evaluation.interval(drawn[:, k, 0])],
            "t2": [point[k, 1], *evaluation.interval(drawn[:, k, 1])],
            "t2_lead": [
                point[own, 1] - point[k, 1],
                *evaluation.interval(drawn[:, own, 1] - drawn[:, k, 1]),
            ],
            "t3_lead": [
                point[hidden, 0] - point[k, 0],
                *evaluation.interval(drawn[:, hidden, 0] - drawn[:, k, 0]),
            ],
            "t2_log_pz": evaluation.correlation_within(score, log_pz, levels),
            "average_precision": evaluation.average_precision(score, labels),
            "recall": [evaluation.recall_at(score, labels, b) for b in evaluation.BUDGETS],
        }
        if name.startswith(("risk", "log-copies")):
            found[name]["brier"] = evaluation.brier(score, labels)
            found[name]["ece"] = evaluation.calibration_error(score, labels)
    return found


def calibration_interval(predicted: np.ndarray, labels: np.ndarray, documents: np.ndarray) -> list:
    def error(rows: np.ndarray) -> np.ndarray:
        return np.array([evaluation.calibration_error(predicted[rows], labels[rows])])

    drawn = evaluation.bootstrap(error, documents, ROUNDS, planted.SEED)
    return [evaluation.calibration_error(predicted, labels), *evaluation.interval(drawn[:, 0])]


def recalibration(
    columns: dict[str, np.ndarray], labels: np.ndarray, documents: np.ndarray, least: int = 100
) -> dict:
    """The calibration error before and after `proxy_risk.recalibrated` has seen the labels of some
    documents (at least `least` sequences), on the other documents.
    """
    made, used = proxy_risk.ProxyRisk.load(), np.zeros(labels.size, dtype=bool)
    for name in np.random.default_rng(planted.SEED).permutation(np.unique(documents)):
        if used.sum() < least:
            used |= documents == name
    labelled, rest = taken(columns, np.flatnonzero(used)), taken(columns, np.flatnonzero(~used))
    again = proxy_risk.recalibrated(made, labelled, labels[used])
    before, after = (
        evaluation.calibration_error(one.predict(rest), labels[~used]) for one in (made, again)
    )
    return {"labels": int(used.sum()), "before": before, "after": after}


def leak(predicted: dict[str, np.ndarray], documents: np.ndarray) -> list:
    """T4: does what is known of the content tell IN from OUT?"""
    rows = predicted["arm"] == "planted"
    score, inside = predicted["risk without copies"][rows], predicted["in"][rows]

    def one(chosen: np.ndarray) -> np.ndarray:
        return np.array([evaluation.auroc(score[chosen], inside[chosen])])

    drawn = evaluation.bootstrap(one, documents[rows], ROUNDS, planted.SEED)
    return [evaluation.auroc(score, inside), *evaluation.interval(drawn[:, 0])]


def dose(targets: list[Target], seed: int, labels: dict[str, np.ndarray], copies: np.ndarray):
    """Per arm and level: how many, and what is extractable, IN and OUT."""
    rows = []
    keys = sorted({(t.arm, t.level, t.near, t.rate) for t in targets if t.arm != "natural"})
    half = np.array([target.half == seed % 2 for target in targets])
    for key in keys:
        of = np.array([(t.arm, t.level, t.near, t.rate) == key for t in targets])
        rows.append({"arm": key[0], "copies": key[1], "near": key[2], "replaced": key[3]})
        rows[-1] |= emission(of & half, of & ~half, labels)
    natural = np.array([target.arm == "natural" for target in targets])
    for low, high in ((1, 2), (2, 4), (4, 1000)):
        of = natural & (copies >= low) & (copies < high)
        if of.any():
            rows.append({"arm": "natural", "copies": low, "near": 0, "replaced": 0.0})
            rows[-1] |= emission(of, np.zeros_like(of), labels)
    return rows


def emission(inside: np.ndarray, outside: np.ndarray, labels: dict[str, np.ndarray]) -> dict:
    """P_100 >= .5: in 100 samples the suffix is there as probably as not."""
    within = (labels["log_pz"] >= np.log(-np.expm1(np.log(0.5) / 100))).astype(float)
    found = {"n_in": int(inside.sum()), "n_out": int(outside.sum())}
    for side, rows in (("in", inside), ("out", outside)):
        if rows.any():
            found[f"extractable_{side}"] = float(labels["extractable"][rows].mean())
            found[f"accuracy_{side}"] = float(labels["accuracy"][rows].mean())
            found[f"within_100_{side}"] = float(within[rows].mean())
    return found


def flips(targets: list[Target], one: np.ndarray, two: np.ndarray) -> dict[str, int]:
    """Planted targets by what the seeds emit of them: IN for one and OUT for the other."""
    rows = np.array([target.arm == "planted" for target in targets])
    half = np.array([target.half for target in targets])
    inside, outside = np.where(half == 0, one, two), np.where(half == 0, two, one)
    names = {"in_only": (1, 0), "both": (1, 1), "out_only": (0, 1), "neither": (0, 0)}
    return {
        name: int((rows & (inside == i) & (outside == o)).sum()) for name, (i, o) in names.items()
    }


def report(arguments: argparse.Namespace) -> None:
    work = arguments.work
    plan, background, targets = experiment(work)
    predicted = stored_predictions()
    copies = features(work, 1)["copies"]
    tested_rows = predicted["target"].astype(int)
    easy = -features(work, 1)["loss_suffix"][tested_rows]
    documents = np.array([target.document for target in targets])
    labels = {name: dict(np.load(work / f"labels-{name}.npz")) for name in RUNS}
    results: dict = {"t4": leak(predicted, documents[tested_rows]), "runs": {}}
    main = (predicted["arm"] == "planted") & (predicted["in"] == 1)
    for name in ("B", "B-small"):
        extractable = labels[name]["extractable"][tested_rows]
        log_pz = labels[name]["log_pz"][tested_rows]
        part = {column: values[main] for column, values in predicted.items()}
        results["runs"][name] = {
            "systems": measured(
                part, extractable[main], log_pz[main], documents[tested_rows][main]
            ),
            "ece": calibration_interval(
                part["risk"], extractable[main], documents[tested_rows][main]
            ),
            "recalibrated": recalibration(
                taken(features(work, 1), tested_rows[main]),
                extractable[main],
                documents[tested_rows][main],
            ),
            "arms": arms(predicted, extractable, copies[tested_rows]),
            "dose": dose(targets, 1, labels[name], copies),
            "by_level": by_level(part, extractable[main], log_pz[main], easy[main]),
        }
    results["dose_a"] = dose(targets, 0, labels["A"], features(work, 0)["copies"])
    results["flips"] = flips(targets, labels["A"]["extractable"], labels["B"]["extractable"])
    facts = ("tokens", "steps", "loss", "seconds", "parameters")
    results["training"] = {
        name: {fact: float(labels[name][fact]) for fact in facts} for name in RUNS
    }
    results["text"] = {
        "background_tokens": int(sum(one.ids.size for one in background)),
        "training_tokens": int(sum(ids.size for ids in training_text(background, targets, 1))),
        "documents": len(background),
        "levels": {str(level): count for level, count in plan.levels.items()},
    }
    results["machine"] = {
        "cpu": platform.machine() + ", " + torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    RESULTS.write_bytes(orjson.dumps(rounded(results), option=orjson.OPT_INDENT_2) + b"\n")
    ground_truth_report.write(rounded(results), README)


def arms(
    predicted: dict[str, np.ndarray], extractable: np.ndarray, copies: np.ndarray
) -> list[dict]:
    """Per arm: what was predicted, and what came."""
    found = []
    for arm in ("planted", "fuzzy", "template", "natural"):
        rows = (predicted["arm"] == arm) & (predicted["in"] == 1) & (copies >= 1)
        if rows.any():
            found.append(
                {"arm": arm, "n": int(rows.sum()), "extracted": float(extractable[rows].mean())}
            )
            found[-1]["predicted"] = float(predicted["risk"][rows].mean())
            found[-1]["auroc"] = evaluation.auroc(predicted["risk"][rows], extractable[rows])
    return found


def by_level(
    predicted: dict[str, np.ndarray], extractable: np.ndarray, log_pz: np.ndarray, easy: np.ndarray
) -> list[dict]:
    """Per copy level: predicted, extractable, and how `easy` (the mean log-probability of the
    suffix by the reference model) goes with the log-probability that the trained model gives it.
    """
    found = []
    for level in np.unique(predicted["level"]):
        rows = predicted["level"] == level
        n = int(rows.sum())
        found.append(
            {
                "copies": int(level),
                "n": n,
                "extracted": float(extractable[rows].mean()),
                "predicted": float(predicted["risk"][rows].mean()),
                "auroc": evaluation.auroc(predicted["risk"][rows], extractable[rows]),
                "log_pz": float(log_pz[rows].mean()),
                "log_p_with_reference": evaluation.correlation_within(
                    easy[rows], log_pz[rows], np.zeros(n)
                ),
            }
        )
    return found


def rounded(value):
    """Four digits; NaN as null."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else round(float(value), 4)
    return value


def everything(arguments: argparse.Namespace) -> None:
    """All steps, two trainings at a time."""
    PREDICTIONS.unlink(missing_ok=True)
    prepare(arguments)
    both(arguments, "proxy", "A")
    predict(arguments)
    both(arguments, "B", "B-small")
    report(arguments)


def both(arguments: argparse.Namespace, *names: str) -> None:
    command = [sys.executable, "-m", "benchmarks.memorization.ground_truth", "train"]
    running = [
        subprocess.Popen(
            [*command, name, "--work", str(arguments.work)], env=os.environ | SHORT_OF_MEMORY
        )
        for name in names
    ]
    ended = [one.wait() for one in running]
    if any(ended):
        sys.exit(f"training {' or '.join(names)} failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=["all", "prepare", "train", "predict", "report"])
    parser.add_argument("run", nargs="?", choices=list(RUNS), help="what to train")
    parser.add_argument("--work", type=Path, required=True, help="work folder")
    parser.add_argument("--data", type=Path, help="prose.jsonl.zst and license-texts.jsonl.zst")
    arguments = parser.parse_args()
    if arguments.step in {"all", "prepare"} and not arguments.data:
        parser.error(f"{arguments.step} needs --data")
    if arguments.step == "train" and not arguments.run:
        parser.error(f"train needs one of {', '.join(RUNS)}")
    steps = {"all": everything, "prepare": prepare, "train": train, "predict": predict}
    (steps | {"report": report})[arguments.step](arguments)


if __name__ == "__main__":
    main()
