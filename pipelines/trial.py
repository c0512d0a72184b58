"""The trial run: train a small model on a corpus, see what it recites, recalibrate the risk.

The corpus is scored as by `unrote score`; then a part of it that fits the time budget is trained
on, and the sequences in it are asked for, the riskiest and some at random where they are many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from unrote.memorization.rate import MODEL_READS
from unrote.memorization.survey import draws

from unrote.corpus.errors import InputError
from unrote.corpus.schema import DOCUMENTS, SCORES, WORDING
from unrote.corpus.text import arrow_buffers
from unrote.dedup.occurrences import Passages
from unrote.memorization.risk import Risk, recalibrated
from unrote.pipelines.analysis import analyse
from unrote.pipelines.atomic import write_atomically
from unrote.pipelines.config import Settings
from unrote.pipelines.job import Job, open_job, reopen_job
from unrote.pipelines.progress import Progress
from unrote.pipelines.publish import finish, read_whole, rows_of, summarised, write_report
from unrote.pipelines.report.trial import FOLDER, Trial

Floats = NDArray[np.float64]

ASKED = 10_000
"""Sequences that are asked for, at most: half the riskiest, half drawn at random."""


def trial(
    inputs: Sequence[str],
    out: str,
    settings: Settings,
    progress: Progress,
    *,
    minutes: float = 10.0,
    seed: int = 0,
    fresh: bool = False,
) -> Trial:
    """Score the corpus `inputs` into the folder `out`, train on it for about `minutes`, and write
    `out`/trial: trial.json, sequences.parquet (what was asked) and risk.json, the refitted risk.

    Raises UsageError and RunError as `clean`.
    """
    from unrote.memorization.trial import try_out  # noqa: PLC0415 (loads torch)

    with open_job("trial", inputs, out, settings, progress, fresh=fresh) as job:
        if not job.run.finished:
            analyse(job)
            report = summarised(job)
            write_report(job.run.out, report)
            finish(job, report)
    with reopen_job(out) as job:
        scores = read_whole(job, SCORES)
        with progress.aside("choosing documents"):
            texts = _chosen(job, scores, 60 * minutes)
        asked = _asked(scores, texts)
        with progress.phase("trial") as advance:
            outcome = try_out(
                texts,
                asked,
                settings.memorization.model,
                seconds=60 * minutes,
                seed=seed,
                progress=lambda share, _: advance(share),
            )
        columns = _columns(asked) | _copies(asked, texts)
        refitted, known = _refitted(settings.memorization.risk, columns, outcome.emitted.exact)
        after = refitted.predict(columns)
        before = settings.memorization.risk.predict(columns)
        result = Trial(
            seed,
            outcome.parameters,
            job.rows(DOCUMENTS),
            len(texts),
            outcome.trained.tokens,
            round(outcome.training_seconds, 1),
            round(outcome.trained.loss, 4),
            int(known.sum()),
            int(np.nansum(outcome.emitted.exact)),
            *_expected(before[known], after[known]),
            *_expected(*(_all(scores, risk) for risk in (settings.memorization.risk, refitted))),
        )
        _write(Path(job.run.out) / FOLDER, result, refitted, asked, outcome.emitted, before, after)
        return result


def _chosen(job: Job, scores: pa.Table, seconds: float) -> dict[int, str]:
    """The text of documents, drawn at random, that can be trained on in the time there is."""
    from unrote.memorization.trial import EPOCHS, speed  # noqa: PLC0415 (loads torch)

    documents = read_whole(job, DOCUMENTS)
    tokens = pc.sum(pc.add(scores["prefix_tokens"], scores["suffix_tokens"])).as_py() or 0
    if tokens < 2:
        raise InputError("the corpus has no text to train a trial model on. Name another.")
    share = seconds * speed(job.settings.memorization.model) / EPOCHS / tokens
    docs, sizes = (documents[name].to_numpy() for name in ("doc", "bytes"))
    order = np.argsort(draws(docs, np.zeros_like(docs)), kind="stable")
    fitting = int(np.searchsorted(np.cumsum(sizes[order]), share * sizes.sum(), side="right"))
    taken = np.sort(docs[order[: max(1, fitting)]])
    rows = rows_of(job.run.corpus, job.run.fields, taken.tolist())
    return {row["doc"]: row["text"] for row in rows}


def _asked(scores: pa.Table, texts: Mapping[int, str]) -> pa.Table:
    """Sequences of these documents, at most `ASKED`."""
    mine = pc.is_in(scores["doc"], pa.array(list(texts), pa.int64()))
    able = pc.and_(pc.is_valid(scores["risk"]), pc.greater(scores["prefix_tokens"], 0))
    rows = scores.filter(pc.and_(mine, able))
    rows = rows.take(pc.sort_indices(rows, [("risk", "descending"), ("doc", "ascending")]))
    if len(rows) <= ASKED:
        return rows
    riskiest, others = rows.slice(0, ASKED // 2), rows.slice(ASKED // 2)
    drawn = draws(others["doc"].to_numpy(), others["start"].to_numpy())
    return pa.concat_tables([riskiest, others.take(np.sort(np.argsort(drawn)[: ASKED // 2]))])


def _columns(rows: pa.Table) -> dict[str, Floats]:
    """What the risk looks at, of rows of SCORES."""
    names = (*WORDING, *MODEL_READS, "suffix_tokens", "copies", "copies_near")
    floats = {name: rows[name].cast(pa.float64()).to_numpy() for name in names}
    floats["copies_near"] = np.nan_to_num(floats["copies_near"])
    floats["copies"] = np.maximum(floats["copies"], 1)
    return floats


def _copies(asked: pa.Table, texts: Mapping[int, str]) -> dict[str, Floats]:
    """Copies in the text that was trained on, which may be a part of the corpus."""
    places = zip(*(asked[name].to_pylist() for name in ("doc", "start", "end")), strict=True)
    passages = Passages([texts[doc][start:end] for doc, start, end in places])
    exact, near = passages.count(*arrow_buffers(pa.array(texts.values(), pa.large_string())))
    return {
        "copies": np.maximum(exact, 1).astype(np.float64),
        "copies_near": near / np.maximum(passages.shingles, 1),
    }


def _refitted(
    risk: Risk, columns: Mapping[str, Floats], exact: Floats
) -> tuple[Risk, NDArray[np.bool_]]:
    """The risk refitted to what is recited, and which sequences could be asked for."""
    known = ~np.isnan(exact)
    if not known.any():
        raise InputError(
            "no sequence of the corpus could be asked for: its documents are shorter than two "
            "tokens. Name a corpus with longer texts."
        )
    mine = {name: values[known] for name, values in columns.items()}
    return recalibrated(risk, mine, exact[known]), known


def _all(scores: pa.Table, risk: Risk) -> Floats:
    there = scores.filter(pc.is_valid(scores["risk"]))
    return risk.predict(_columns(there))


def _expected(before: Floats, after: Floats) -> tuple[float, float]:
    return round(float(before.sum()), 3), round(float(after.sum()), 3)


def _write(
    folder: Path,
    result: Trial,
    refitted: Risk,
    asked: pa.Table,
    recited: tuple[Floats, ...],
    before: Floats,
    after: Floats,
) -> None:
    folder.mkdir(exist_ok=True)
    exact, tokens, graded, log_p = recited
    columns = {
        "recited": pa.array(exact, from_pandas=True).cast(pa.bool_()),
        "recited_tokens": pa.array(tokens, from_pandas=True),
        "right_tokens": pa.array(graded, from_pandas=True),
        "log_probability": pa.array(log_p, from_pandas=True),
        "risk": pa.array(np.round(before, 6)),
        "risk_refitted": pa.array(np.round(after, 6)),
    }
    rows = asked.select(["doc", "start", "end", "copies"])
    for name, values in columns.items():
        rows = rows.append_column(name, values)
    order = [("recited", "descending"), ("risk_refitted", "descending"), ("doc", "ascending")]
    pq.write_table(rows.take(pc.sort_indices(rows, order)), folder / "sequences.parquet")
    refitted.save(folder / "risk.json")
    write_atomically(
        folder / "trial.json", orjson.dumps(asdict(result), option=orjson.OPT_INDENT_2) + b"\n"
    )
