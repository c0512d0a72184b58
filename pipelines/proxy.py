"""The proxy run: train a proxy model on a corpus, see what is extractable from it, recalibrate the
risk.

The corpus is scored as by `unrote score`; then a part of it that fits the time budget is trained
on, and the model is prompted with its sequences, the riskiest and a random sample where they are
many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unrote.corpus.errors import InputError
from unrote.corpus.hashing import random_numbers
from unrote.corpus.schema import DOCUMENTS, SCORES, TEXT_FEATURES
from unrote.corpus.tables import tuples_of
from unrote.corpus.text import arrow_buffers
from unrote.dedup.occurrences import Passages
from unrote.memorization.proxy_risk import ProxyRisk, recalibrated
from unrote.memorization.scores import MODEL_FEATURES
from unrote.pipelines.analysis import analyse
from unrote.pipelines.config import Settings
from unrote.pipelines.finished import FinishedRun, open_run
from unrote.pipelines.job import open_job
from unrote.pipelines.progress import Progress
from unrote.pipelines.publish import finish, summarised, write_report
from unrote.pipelines.report.proxy import FOLDER, ProxyReport
from unrote.pipelines.storage import Location, make_folder, staged, write_atomically

if TYPE_CHECKING:
    from unrote.memorization.proxy_run import ProxyRun

Floats = NDArray[np.float64]

PROMPTED = 10_000
"""Sequences that the model is prompted with, at most: half the riskiest, half a random sample."""

_TIMING = 0.1
"""How long it may take to see how fast a model trains here, of the time that it is to train for."""


def proxy(
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    minutes: float = 10.0,
    seed: int = 0,
    fresh: bool = False,
) -> ProxyReport:
    """Score the corpus `inputs` into the folder `out`, train on it for about `minutes`, and write
    `out`/proxy: proxy.json, sequences.parquet (those it was prompted with) and risk.json, the
    recalibrated risk.

    Raises UsageError and RunError as `clean`.
    """
    from unrote.memorization.proxy_run import run_proxy  # noqa: PLC0415 (loads torch)

    with open_job("proxy", inputs, out, settings, progress, fresh=fresh) as job:
        if not job.run.finished:
            analyse(job)
            report = summarised(job)
            write_report(job.run.out, report)
            finish(job, report)
    run = open_run(out)
    scores = run.table(SCORES.name)
    with progress.aside("choosing documents"):
        texts = _training_texts(run, scores, 60 * minutes)
    prompted = _prompted(scores, texts)
    with progress.phase("proxy") as advance:
        outcome = run_proxy(
            texts,
            prompted,
            settings.memorization.model,
            seconds=60 * minutes,
            seed=seed,
            progress=lambda share, _: advance(share),
        )
    return _concluded(run, scores, texts, prompted, outcome, seed)


def _concluded(
    run: FinishedRun,
    scores: pa.Table,
    texts: Mapping[int, str],
    prompted: pa.Table,
    outcome: "ProxyRun",
    seed: int,
) -> ProxyReport:
    """Recalibrate the risk to what was extractable, and write what came of it."""
    columns = _columns(prompted) | _copies(prompted, texts)
    given, extractable = run.settings.memorization.proxy_risk, outcome.extraction.extractable
    refitted, known = _recalibrated(given, columns, extractable)
    before, after = given.predict(columns), refitted.predict(columns)
    result = ProxyReport(
        seed,
        outcome.parameters,
        run.table(DOCUMENTS.name).num_rows,
        len(texts),
        outcome.trained.tokens,
        round(outcome.training_seconds, 1),
        round(outcome.trained.loss, 4),
        int(known.sum()),
        int(np.nansum(extractable)),
        *_expected(before[known], after[known]),
        *_expected(*(_all(scores, risk) for risk in (given, refitted))),
    )
    _write(run.out / FOLDER, result, refitted, prompted, outcome.extraction, before, after)
    return result


def _training_texts(run: FinishedRun, scores: pa.Table, seconds: float) -> dict[int, str]:
    """The text of documents, drawn at random, that can be trained on in the time there is."""
    from unrote.memorization.proxy_run import EPOCHS, speed  # noqa: PLC0415 (loads torch)

    documents = run.table(DOCUMENTS.name)
    tokens = pc.sum(pc.add(scores["prefix_tokens"], scores["suffix_tokens"])).as_py() or 0
    if tokens < 2:
        raise InputError("the corpus has no text to train a proxy model on. Name another.")
    rate = speed(run.settings.memorization.model, seconds=_TIMING * seconds)
    share = seconds * rate / EPOCHS / tokens
    docs, sizes = (documents[name].to_numpy() for name in ("doc", "bytes"))
    order = np.argsort(random_numbers(docs, np.zeros_like(docs)), kind="stable")
    fitting = int(np.searchsorted(np.cumsum(sizes[order]), share * sizes.sum(), side="right"))
    taken = np.sort(docs[order[: max(1, fitting)]])
    rows = run.records(taken.tolist())
    return {doc: row["text"] for doc, row in rows.items()}


def _prompted(scores: pa.Table, texts: Mapping[int, str]) -> pa.Table:
    """Sequences of these documents, at most `PROMPTED`."""
    mine = pc.is_in(scores["doc"], pa.array(list(texts), pa.int64()))
    able = pc.and_(pc.is_valid(scores["risk"]), pc.greater(scores["prefix_tokens"], 0))
    rows = scores.filter(pc.and_(mine, able))
    rows = rows.take(pc.sort_indices(rows, [("risk", "descending"), ("doc", "ascending")]))
    if len(rows) <= PROMPTED:
        return rows
    riskiest, others = rows.slice(0, PROMPTED // 2), rows.slice(PROMPTED // 2)
    random = random_numbers(others["doc"].to_numpy(), others["start"].to_numpy())
    return pa.concat_tables([riskiest, others.take(np.sort(np.argsort(random)[: PROMPTED // 2]))])


def _columns(rows: pa.Table) -> dict[str, Floats]:
    """The features of the risk, of rows of SCORES."""
    names = (*TEXT_FEATURES, *MODEL_FEATURES, "suffix_tokens", "copies", "copies_near")
    floats = {name: rows[name].cast(pa.float64()).to_numpy() for name in names}
    floats["copies_near"] = np.nan_to_num(floats["copies_near"])
    floats["copies"] = np.maximum(floats["copies"], 1)
    return floats


def _copies(prompted: pa.Table, texts: Mapping[int, str]) -> dict[str, Floats]:
    """Copies in the text that was trained on, which may be a part of the corpus."""
    ranges = tuples_of(prompted, "doc", "start", "end")
    passages = Passages([texts[doc][start:end] for doc, start, end in ranges])
    exact, near = passages.count(*arrow_buffers(pa.array(texts.values(), pa.large_string())))
    return {
        "copies": np.maximum(exact, 1).astype(np.float64),
        "copies_near": near / np.maximum(passages.shingles, 1),
    }


def _recalibrated(
    risk: ProxyRisk, columns: Mapping[str, Floats], extractable: Floats
) -> tuple[ProxyRisk, NDArray[np.bool_]]:
    """The risk recalibrated to what is extractable, and which sequences could be prompted."""
    known = ~np.isnan(extractable)
    if not known.any():
        raise InputError(
            "the model could be prompted with no sequence of the corpus: its documents are "
            "shorter than two tokens. Name a corpus with longer texts."
        )
    mine = {name: values[known] for name, values in columns.items()}
    return recalibrated(risk, mine, extractable[known]), known


def _all(scores: pa.Table, risk: ProxyRisk) -> Floats:
    scored = scores.filter(pc.is_valid(scores["risk"]))
    return risk.predict(_columns(scored))


def _expected(before: Floats, after: Floats) -> tuple[float, float]:
    return round(float(before.sum()), 3), round(float(after.sum()), 3)


def _write(
    folder: Location,
    result: ProxyReport,
    refitted: ProxyRisk,
    prompted: pa.Table,
    extraction: tuple[Floats, ...],
    before: Floats,
    after: Floats,
) -> None:
    make_folder(folder)
    extractable, tokens, accuracy, log_pz = extraction
    columns = {
        "extractable": pa.array(extractable, from_pandas=True).cast(pa.bool_()),
        "extracted_tokens": pa.array(tokens, from_pandas=True),
        "accuracy": pa.array(accuracy, from_pandas=True),
        "pz_log": pa.array(log_pz, from_pandas=True),
        "risk": pa.array(np.round(before, 6)),
        "risk_recalibrated": pa.array(np.round(after, 6)),
    }
    rows = prompted.select(["doc", "start", "end", "copies"])
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    order = [
        ("extractable", "descending"),
        ("risk_recalibrated", "descending"),
        ("doc", "ascending"),
    ]
    with staged(folder / "sequences.parquet") as path:
        pq.write_table(rows.take(pc.sort_indices(rows, order)), path)
    with staged(folder / "risk.json") as path:
        refitted.save(path)
    write_atomically(
        folder / "proxy.json", orjson.dumps(asdict(result), option=orjson.OPT_INDENT_2) + b"\n"
    )
