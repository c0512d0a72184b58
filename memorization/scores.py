"""Scores: the reference model's measures of what it reads, and the risk of every sequence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.pulse import pulse
from unrote.corpus.schema import (
    AT_RISK,
    MEASURED,
    MEASURES,
    READ,
    RISKS,
    SCORES,
    SEQUENCE_COPIES,
    SEQUENCES,
    TEXT_FEATURES,
    Tagged,
)
from unrote.corpus.stages import PlainStage, Workers, each_key
from unrote.corpus.tabular import TABULAR
from unrote.memorization.config import Models
from unrote.memorization.risk import CATEGORIES, Forecast, Risk, categories, predictable
from unrote.memorization.selection import Selection
from unrote.memorization.windows import Ints, Sequences

Columns = dict[str, NDArray[Any]]

MODEL_FEATURES = ("loss", "loss_prefix", "loss_suffix", "pz_log", "min_k")
"""The measures of the reference model that a risk is predicted from."""

_DIGITS = 9
"""Of probabilities: the last bits of a logarithm depend on its index in an array."""


@dataclass(frozen=True)
class Measure(PlainStage):
    """Batch groups of READ to rows of MEASURED: the reference model reads them.

    digest: of the models' files.
    """

    models: Models = field(default_factory=Models)
    digest: str = ""

    workers: ClassVar[Workers] = "device"
    key: ClassVar[tuple[str, ...]] = ("batch_group",)
    order: ClassVar[tuple[str, ...]] = ("doc", "number")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"read": READ.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"measured": MEASURED.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for group in each_key((batch for _, batch in tagged), "batch_group"):
            yield "measured", self._measured(group)

    def _measured(self, group: pa.RecordBatch) -> pa.RecordBatch:
        from unrote.memorization.scorer import measure_arrays, only_scorer  # noqa: PLC0415 (loads torch)

        with only_scorer(self.models) as scorer:
            columns, reason = scorer.measured(
                _sequences(group),
                group["text"].to_pylist(),
                lambda done, of: pulse(done / max(of, 1)),
            )
        arrays = [group["doc"], group["number"], *measure_arrays(columns, group.num_rows)]
        return pa.RecordBatch.from_arrays(
            [*arrays, pa.array(reason, pa.string())], schema=MEASURED.schema
        )


def _sequences(group: pa.RecordBatch) -> Sequences:
    """The sequences of a batch group, each with a text of its own."""
    lists = group["ids"]
    offsets = lists.offsets.to_numpy().astype(np.int64)
    ends = np.array([len(text) for text in group["text"].to_pylist()], dtype=np.int64)
    return Sequences(
        lists.values.to_numpy().astype(np.int64)[offsets[0] : offsets[-1]],
        offsets - offsets[0],
        group["prefix_tokens"].to_numpy(),
        np.arange(group.num_rows),
        np.zeros(group.num_rows, dtype=np.int64),
        group["second_token"].to_numpy(),
        ends,
    )


@dataclass(frozen=True)
class Score(PlainStage):
    """SEQUENCES, with copies of some and measures of those that were read, to rows of SCORES and
    AT_RISK.

    selection: which ones are read. tokens: of the whole released text. threshold: `action` is taken
    where the high end of the risk's band reaches it.
    """

    selection: Selection = field(default_factory=Selection)
    risk: Forecast = field(default_factory=Risk)
    tokens: int = 1
    threshold: float = 1.0
    action: str = "keep"

    version: ClassVar[int] = 3
    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        SEQUENCES.name: SEQUENCES.schema,
        SEQUENCE_COPIES.name: SEQUENCE_COPIES.schema,
        MEASURED.name: MEASURED.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {
        "scores": SCORES.schema,
        "at_risk": AT_RISK.schema,
    }

    def _run(self, tagged: Tagged) -> Tagged:
        for own, beside in document_ranges(tagged, SEQUENCES.name):
            if own.num_rows:
                scores = self._scored(own, beside)
                yield "scores", scores
                yield "at_risk", _at_risk(scores)

    def _scored(self, own: pa.RecordBatch, beside: Mapping[str, pa.RecordBatch]) -> pa.RecordBatch:
        rows: Columns = {
            name: own[name].to_numpy(zero_copy_only=False)
            for name in own.schema.names
            if name != "ids"
        }
        read, sampled = self.selection.of(rows["rank"], rows["random"])
        suffix = np.diff(own["ids"].offsets.to_numpy()) - rows["prefix_tokens"]
        rows |= {"suffix_tokens": suffix.astype(np.int64), "sampled": sampled}
        reason = np.where(rows["rank"] < 0, "no tokens", "not selected").astype(object)
        reason[read] = None
        for name in (*MEASURES, "copies_deduplicated", "copies_near"):
            rows[name] = np.full(own.num_rows, np.nan)
        if SEQUENCE_COPIES.name in beside:
            self._copies(rows, beside[SEQUENCE_COPIES.name])
        if MEASURED.name in beside:
            found = beside[MEASURED.name]
            index, matched = rows_of(rows, found)
            for name in MEASURES:
                values = found[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
                rows[name][index] = values[matched]
            reason[index] = np.array(found["reason"].to_pylist(), dtype=object)[matched]
        self._risks(rows)
        by = np.where(read, "model", "text").astype(object)
        by[rows["rank"] < 0] = None
        rows["tabular"] = np.array(TABULAR, dtype=object)[rows["tabular"]]
        at_risk = (np.nan_to_num(rows["risk_high"]) >= self.threshold) & (
            rows["end"] > rows["start"]
        )
        act = np.where(at_risk, self.action, "keep")
        return _scores(rows | {"scored_by": by, "action": act, "reason": reason})

    def _copies(self, rows: Columns, found: pa.RecordBatch) -> None:
        index, matched = rows_of(rows, found)
        for name in ("copies_input", "copies"):
            rows[name] = rows[name].copy()
            rows[name][index] = found[name].to_numpy()[matched]
        rows["copies_deduplicated"][index] = found["copies_deduplicated"].to_numpy()[matched]
        near, shingles = (found[name].to_numpy()[matched] for name in ("near", "shingles"))
        rows["copies_near"][index] = near / np.maximum(shingles, 1)

    def _risks(self, rows: Columns) -> None:
        """Adds risks, their parts and the category; NaN and None where there is none to score."""
        columns = {name: rows[name] for name in (*TEXT_FEATURES, *MODEL_FEATURES, "extractable")}
        columns |= {"copies_near": np.nan_to_num(rows["copies_near"])}
        for name in ("prefix_tokens", "suffix_tokens"):
            columns[name] = rows[name].astype(np.float64)
        deduplicated = np.where(
            np.isnan(rows["copies_deduplicated"]), rows["copies"], rows["copies_deduplicated"]
        )
        no_tokens = rows["rank"] < 0

        def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.where(no_tokens, np.nan, np.round(values, _DIGITS))

        known: Columns = {}
        names = iter(RISKS)
        for copies in (rows["copies_input"], deduplicated, rows["copies"]):
            known = columns | {"copies": np.maximum(copies, 1).astype(np.float64)}
            for part in self.risk.band(known):
                rows[next(names)] = rounded(part)
        rows["memorized"] = rounded(self.risk.memorized(known).middle)
        rows["predictable"] = rounded(predictable(known))
        category = np.array(CATEGORIES, dtype=object)[categories(known, self.risk.epochs)]
        category[no_tokens] = None
        rows["category"] = category
        rows["copies_per_million"] = rows["copies"] * 1e6 / max(self.tokens, 1)


def _at_risk(scores: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of AT_RISK, of rows of SCORES."""
    found = scores.filter(pc.not_equal(scores["action"], "keep"))
    return found.select(AT_RISK.schema.names)


@dataclass(frozen=True)
class AtRiskOfScores(PlainStage):
    """SCORES of a finished run to its internal table AT_RISK, which was not kept."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {SCORES.name: SCORES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"at_risk": AT_RISK.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            yield "at_risk", _at_risk(batch)


def _scores(rows: Mapping[str, NDArray[Any]]) -> pa.RecordBatch:
    arrays = [
        pa.array(rows[column.name], from_pandas=True).cast(column.type) for column in SCORES.schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCORES.schema)


def rows_of(rows: Columns, found: pa.RecordBatch) -> tuple[Ints, NDArray[np.bool_]]:
    """(indices in `rows`, which rows of `found` have one), by document and number.

    rows: sorted by both, without gaps within a document.
    """
    docs, numbers = (found[name].to_numpy() for name in ("doc", "number"))
    first = np.minimum(np.searchsorted(rows["doc"], docs), rows["doc"].size - 1)
    index = first + numbers - rows["number"][first]
    clipped = np.clip(index, 0, rows["doc"].size - 1)
    matched = (index == clipped) & (rows["doc"][clipped] == docs)
    matched &= rows["number"][clipped] == numbers
    return index[matched], matched


def document_ranges(
    tagged: Tagged, lead: str
) -> Iterator[tuple[pa.RecordBatch, dict[str, pa.RecordBatch]]]:
    """Rows of the table `lead`, with those of the others that may be of the same documents.

    A document's rows may come in several batches of `lead`, of which the first brings all that the
    others have of it.
    """
    own: list[pa.RecordBatch] = []
    beside: dict[str, list[pa.RecordBatch]] = {}
    fresh = True
    for tag, batch in tagged:
        if not batch.num_rows:
            continue
        if tag == lead and not fresh and own:
            yield _joined(own), {name: _joined(parts) for name, parts in beside.items()}
            last = own[-1]["doc"][-1].as_py()
            beside = {name: _from(parts, last) for name, parts in beside.items()}
            own = []
        fresh = tag == lead
        (own if fresh else beside.setdefault(tag, [])).append(batch)
    if own:
        yield _joined(own), {name: _joined(parts) for name, parts in beside.items()}


def _joined(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(list(parts))


def _from(parts: Sequence[pa.RecordBatch], doc: int) -> list[pa.RecordBatch]:
    """The rows of `doc`, which sorts last."""
    whole = _joined(parts)
    return [whole.slice(int(np.searchsorted(whole["doc"].to_numpy(), doc)))]
