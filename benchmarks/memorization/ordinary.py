"""The risk of ordinary text: most of a corpus is there once, and hardly any of it is extractable.

    python -m benchmarks.memorization.ordinary --work WORK

Targets of the experiment (ground_truth.py) are planted where emission rises, so a fit on them alone
says little of text that occurs once; a corpus has millions of such sequences, and what is wrong by
a hundredth for each is wrong by ten thousands for all. This draws windows of the experiment's own
background, asks the models that were trained for them, and fits the risk again: on the planted
sequences of seed A and on half of these windows, by document. The other half, put to the models
of seed B, is what the tables are about. memorization/default/risk.json is this fit.

It runs after ground_truth.py, whose forecast of seed B stays as it was committed. The fit made here
has not seen seed B either, but whoever thought of it had.
"""

from __future__ import annotations

import argparse
import random
import zlib
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.memorization import evaluation, ground_truth, ground_truth_report, planted
from benchmarks.memorization.planted import Document, Target
from unrote import memorization
from unrote.corpus.text import arrow_buffers
from unrote.dedup.occurrences import Passages
from unrote.memorization import proxy_risk
from unrote.memorization.model import LanguageModel, load, prepare
from unrote.memorization.text_features import text_features
from unrote.memorization.tokenizer import pretrained_tokenizer

RESULTS = ground_truth.HERE / "ordinary.json"
WINDOWS = 24_000
"""Windows drawn, half of them to fit on."""

RUNS = ("A", "B", "B-small")

BINS = (1, 2, 3, 6, 11, 21, 41)
"""The copies at which rows of the table begin."""

BEGIN, END = "<!-- ordinary text: generated -->", "<!-- ordinary text: end -->"


def drawn(background: list[Document]) -> list[Target]:
    """Windows of the background, in proportion to its tokens; half: of their documents."""
    order = random.Random(planted.SEED)
    fast = pretrained_tokenizer("default").backend_tokenizer
    able = [one for one in background if one.ids.size >= planted.LENGTH]
    chosen = order.choices(able, weights=[one.ids.size for one in able], k=WINDOWS)
    found = []
    for one in chosen:
        first = order.randrange(one.ids.size - planted.LENGTH + 1)
        ids = one.ids[first : first + planted.LENGTH].tolist()
        text = fast.decode(ids, skip_special_tokens=False)
        half = random.Random(one.name).randrange(2)
        found.append(Target(text, ids, one.name, one.source, half, "ordinary", 0))
    return found


def content(targets: list[Target]) -> dict[str, np.ndarray]:
    """What the product knows of them but for copies, and what others would go by."""
    config = memorization.Config(prefix=planted.PREFIX, suffix=planted.LENGTH - planted.PREFIX)
    texts = [one.text for one in targets]
    table = memorization.score(texts, load("default", "cpu"), config=config)
    # A window may be cut into other tokens than it had, and then have a second, short sequence.
    _, first = np.unique(table["doc"].to_numpy(), return_index=True)
    table = table.take(first)
    names = ("loss", "loss_prefix", "loss_suffix", "min_k", "pz_log", "suffix_tokens")
    found = {name: table[name].to_numpy().astype(np.float64) for name in names} | text_features(
        texts
    )
    data = [text.encode() for text in texts]
    found["characters"] = np.array([float(len(text)) for text in texts])
    found["zlib"] = np.array([len(zlib.compress(one)) / max(len(one), 1) for one in data])
    return found


def counted(targets: list[Target], documents: list[str]) -> dict[str, np.ndarray]:
    """Their copies in the documents trained on."""
    passages = Passages([one.text for one in targets])
    exact, near = passages.count(*arrow_buffers(pa.array(documents, pa.large_string())))
    return {
        "copies": exact.astype(np.float64),
        "copies_near": near / np.maximum(passages.shingles, 1),
    }


def trained(work: Path, name: str) -> LanguageModel:
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(work / f"model-{name}")
    return prepare(name, network, pretrained_tokenizer("default"))


def rows_of(predicted: np.ndarray, exact: np.ndarray, copies: np.ndarray) -> list[dict]:
    """By copies: how many, how many are extractable, how many were expected to be."""
    index = np.searchsorted(BINS, copies, side="right") - 1
    found = []
    for number, first in enumerate(BINS):
        rows = index == number
        if rows.any():
            sums = {"extracted": float(exact[rows].sum()), "expected": float(predicted[rows].sum())}
            found.append({"from": first, "n": int(rows.sum())} | sums)
    return found


def evaluated(predicted: np.ndarray, exact: np.ndarray, copies: np.ndarray) -> dict:
    return {
        "n": int(exact.size),
        "extracted": float(exact.sum()),
        "expected": float(predicted.sum()),
        "ece": evaluation.calibration_error(predicted, exact),
        "auroc": evaluation.auroc(predicted, exact),
        "by_copies": rows_of(predicted, exact, copies),
    }


ALONE = {
    "near-duplicate count": ("copies_near", 1),
    "length": ("characters", -1),
    "zlib": ("zlib", -1),
    "reference PPL": ("loss", -1),
    "reference PPL of the suffix": ("loss_suffix", -1),
    "Min-K%": ("min_k", 1),
    "repetition": ("repetition", 1),
    "template": ("template", 1),
}
"""Baselines of one feature, with the sign that makes higher riskier."""


def at_one_copy(
    made: proxy_risk.ProxyRisk,
    known: dict[str, np.ndarray],
    exact: np.ndarray,
    documents: np.ndarray,
) -> list[dict]:
    """T2 of ordinary text: sequences that are in the text once. AUROC, and the risk's lead."""
    rows = np.flatnonzero(known["copies"] == 1)
    here = {name: column[rows] for name, column in known.items()}
    y = exact[rows]
    text = {n: c for n, c in here.items() if n not in ground_truth.GROUPS["reference model"]}
    scores = {"risk": made.predict(here), "risk, text only": made.predict(text)}
    scores |= {name: sign * here[column] for name, (column, sign) in ALONE.items()}
    scores["random"] = np.random.default_rng(planted.SEED).random(rows.size)
    table = np.stack(list(scores.values()), axis=1)

    def measure(chosen: np.ndarray) -> np.ndarray:
        return np.array([evaluation.auroc(column, y[chosen]) for column in table[chosen].T])

    point = measure(np.arange(rows.size))
    boot = evaluation.bootstrap(measure, documents[rows], ground_truth.ROUNDS, planted.SEED)
    return [
        {
            "score": name,
            "n": int(rows.size),
            "extracted": float(y.sum()),
            "auroc": [point[k], *evaluation.interval(boot[:, k])],
            "lead": [point[0] - point[k], *evaluation.interval(boot[:, 0] - boot[:, k])],
        }
        for k, name in enumerate(scores)
    ]


def once(rows: list[dict]) -> str:
    """`at_one_copy` as a table."""
    span = ground_truth_report.span
    cells = [
        [one["score"], span(one["auroc"]), span(one["lead"]) if number else ""]
        for number, one in enumerate(rows)
    ]
    return ground_truth_report.table(["score", "AUROC", "the risk's lead"], cells)


def markdown(results: dict) -> str:
    parts = []
    for run, found in results["runs"].items():
        rows = [
            [
                *(name, f"{one['n']:,}", f"{one['extracted']:.0f}", f"{one['before']:.1f}"),
                *(f"{one['expected']:.1f}", f"{one['ece']:.4f}", f"{one['auroc']:.3f}"),
            ]
            for name, one in found.items()
        ]
        head = ["", "sequences", "extracted", "expected by the forecast's fit"]
        parts.append(f"**{run}**")
        parts.append(
            ground_truth_report.table([*head, "by the shipped fit", "its ECE", "its AUROC"], rows)
        )
    by = results["runs"]["B"]["ordinary"]["by_copies"]
    rows = [
        [str(one["from"]), f"{one['n']:,}", f"{one['extracted']:.0f}", f"{one['expected']:.1f}"]
        for one in by
    ]
    parts.append("Ordinary windows not fitted on, seed B, by copies:")
    parts.append(ground_truth_report.table(["copies from", "n", "extracted", "expected"], rows))
    for run, found in results["once"].items():
        parts.append(
            f"Which of those that are there once, {run} ({found[0]['n']:,}, "
            f"{found[0]['extracted']:.0f} extractable):"
        )
        parts.append(once(found))
    return "\n\n".join(parts)


def fits(
    planted_part: tuple[dict[str, np.ndarray], np.ndarray, np.ndarray],
    ordinary_part: tuple[dict[str, np.ndarray], np.ndarray, np.ndarray],
) -> tuple[proxy_risk.ProxyRisk, proxy_risk.ProxyRisk]:
    """The fit on planted sequences alone, and the one on both. Parts: what is known of sequences,
    the tokens that are extracted of each suffix, the documents.
    """
    made = []
    for parts in ([planted_part], [planted_part, ordinary_part]):
        columns = {
            name: np.concatenate([known[name] for known, _, _ in parts])
            for name in ground_truth.COLUMNS
        }
        extracted, groups = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
        exact = (extracted >= planted.LENGTH - planted.PREFIX).astype(np.float64)
        sizes = [len(known["copies"]) for known, _, _ in parts]
        card = proxy_risk.ProxyRisk.load().card | {
            "fitted_on": f"{exact.size} sequences of seed A ({sizes[0]} planted or natural copies, "
            f"{sum(sizes[1:])} of ordinary text), {exact.sum():.0f} of them extractable",
            "made_by": "python -m benchmarks.memorization.ordinary",
        }
        made.append(proxy_risk.fit(columns, exact, groups, extracted_tokens=extracted, card=card))
    return made[0], made[1]


def of_run(
    made: tuple[proxy_risk.ProxyRisk, proxy_risk.ProxyRisk],
    parts: dict[str, tuple[dict[str, np.ndarray], np.ndarray]],
) -> dict:
    """Expected beside extractable, for each part: what is known, and what was extractable."""
    found = {}
    for name, (known, exact) in parts.items():
        found[name] = evaluated(made[1].predict(known), exact, known["copies"])
        found[name]["before"] = float(made[0].predict(known).sum())
        bare = {n: c for n, c in known.items() if n not in ground_truth.GROUPS["reference model"]}
        found[name]["text_only"] = evaluated(made[1].predict(bare), exact, known["copies"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="ground_truth.py's work folder")
    work = parser.parse_args().work
    _, background, targets = ground_truth.experiment(work)
    windows = drawn(background)
    fast = pretrained_tokenizer("default").backend_tokenizer
    known, mine, ask = {}, {}, {}
    same = content(windows)
    for seed in (0, 1):
        text = ground_truth.training_text(background, targets, seed)
        documents = [fast.decode(ids.tolist(), skip_special_tokens=False) for ids in text]
        known[seed] = same | counted(windows, documents)
        # A window that a planted copy was put across is not there any more.
        there = known[seed]["copies"] >= 1
        ask[seed] = np.flatnonzero(there & (np.array([one.half for one in windows]) == seed))
        mine[seed] = ground_truth.tested(targets, seed, ground_truth.features(work, seed)["copies"])
    labels_of = {name: ground_truth.extraction(trained(work, name), windows) for name in RUNS}
    labels = {name: np.load(work / f"labels-{name}.npz") for name in RUNS}

    part = ground_truth.taken
    planted_a = part(ground_truth.features(work, 0), mine[0])
    made = fits(
        (planted_a, labels["A"]["extracted_tokens"][mine[0]], documents_of(targets, mine[0])),
        (
            part(known[0], ask[0]),
            labels_of["A"].extracted_tokens[ask[0]],
            documents_of(windows, ask[0]),
        ),
    )
    results: dict = {"windows": WINDOWS, "fitted": int(ask[0].size), "runs": {}, "once": {}}
    once = {name: column[ask[1]] for name, column in known[1].items()}
    planted_b = part(ground_truth.features(work, 1), mine[1])
    for name in ("B", "B-small"):
        results["runs"][name] = of_run(
            made,
            {
                "ordinary": (part(known[1], ask[1]), labels_of[name].extractable[ask[1]]),
                "planted": (planted_b, labels[name]["extractable"][mine[1]]),
            },
        )
        results["once"][name] = at_one_copy(
            made[1], once, labels_of[name].extractable[ask[1]], documents_of(windows, ask[1])
        )
    made[1].save(Path(proxy_risk.__file__).parent / proxy_risk.SHIPPED)
    RESULTS.write_bytes(
        orjson.dumps(ground_truth.rounded(results), option=orjson.OPT_INDENT_2) + b"\n"
    )
    ground_truth_report.between(ground_truth.README, BEGIN, END, markdown(results))
    print(markdown(results))


def documents_of(targets: list[Target], rows: np.ndarray) -> np.ndarray:
    return np.array([targets[row].document for row in rows])


if __name__ == "__main__":
    main()
