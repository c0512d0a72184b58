"""What the language model says of the wanted sequences, and the risk of each sequence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unrote.corpus.pulse import pulse
from unrote.corpus.schema import (
    COUNTED,
    MEASURED,
    MEASURES,
    RISKY,
    SCORES,
    SEQUENCES,
    WANTED,
    WORDING,
    Tagged,
)
from unrote.corpus.stages import PlainStage, Workers, each_key
from unrote.memorization.config import Models
from unrote.memorization.risk import PARTS, Risk
from unrote.memorization.survey import Choice
from unrote.memorization.windows import Ints, Sequences

Columns = dict[str, NDArray[Any]]

MODEL_READS = ("loss", "loss_prefix", "loss_suffix", "pz_log", "min_k")
"""What the risk looks at of what the model says."""


@dataclass(frozen=True)
class Measure(PlainStage):
    """Lots of WANTED to rows of MEASURED.

    digest: of the models' files.
    """

    models: Models = field(default_factory=Models)
    digest: str = ""

    workers: ClassVar[Workers] = "device"
    key: ClassVar[tuple[str, ...]] = ("lot",)
    order: ClassVar[tuple[str, ...]] = ("doc", "number")
    inputs: ClassVar[Mapping[str, pa.Schema]] = {"wanted": WANTED.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"measured": MEASURED.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for lot in each_key((batch for _, batch in tagged), "lot"):
            yield "measured", self._measured(lot)

    def _measured(self, lot: pa.RecordBatch) -> pa.RecordBatch:
        from unrote.memorization.scorer import measure_arrays, only_scorer  # noqa: PLC0415 (loads torch)

        with only_scorer(self.models) as scorer:
            columns, reason = scorer.measured(
                _sequences(lot), lot["text"].to_pylist(), lambda done, of: pulse(done / max(of, 1))
            )
        arrays = [lot["doc"], lot["number"], *measure_arrays(columns, lot.num_rows)]
        return pa.RecordBatch.from_arrays(
            [*arrays, pa.array(reason, pa.string())], schema=MEASURED.schema
        )


def _sequences(lot: pa.RecordBatch) -> Sequences:
    """The sequences of a lot, each with a text of its own."""
    lists = lot["ids"]
    offsets = lists.offsets.to_numpy().astype(np.int64)
    ends = np.array([len(text) for text in lot["text"].to_pylist()], dtype=np.int64)
    return Sequences(
        lists.values.to_numpy().astype(np.int64)[offsets[0] : offsets[-1]],
        offsets - offsets[0],
        lot["prefix_tokens"].to_numpy(),
        np.arange(lot.num_rows),
        np.zeros(lot.num_rows, dtype=np.int64),
        lot["second"].to_numpy(),
        ends,
    )


@dataclass(frozen=True)
class Rate(PlainStage):
    """SEQUENCES, beside what was counted and measured of the wanted ones, to rows of SCORES.

    risk: its coefficients. tokens: of the whole released text. above: the risk from which `action`
    is taken.
    """

    choice: Choice = field(default_factory=Choice)
    risk: Risk = field(default_factory=Risk.load)
    tokens: int = 1
    above: float = 1.0
    action: str = "keep"

    inputs: ClassVar[Mapping[str, pa.Schema]] = {
        SEQUENCES.name: SEQUENCES.schema,
        COUNTED.name: COUNTED.schema,
        MEASURED.name: MEASURED.schema,
    }
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"scores": SCORES.schema, "risky": RISKY.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for own, beside in stretches(tagged, SEQUENCES.name):
            if own.num_rows:
                scores = self._rated(own, beside)
                yield "scores", scores
                yield "risky", _risky(scores)

    def _rated(self, own: pa.RecordBatch, beside: Mapping[str, pa.RecordBatch]) -> pa.RecordBatch:
        rows: Columns = {
            name: own[name].to_numpy(zero_copy_only=False)
            for name in own.schema.names
            if name != "ids"
        }
        chosen, drawn = self.choice.of(rows["rank"], rows["draw"])
        suffix = np.diff(own["ids"].offsets.to_numpy()) - rows["prefix_tokens"]
        rows |= {"suffix_tokens": suffix.astype(np.int64), "sampled": drawn}
        reason = np.where(rows["rank"] < 0, "no tokens", "not chosen").astype(object)
        reason[chosen] = None
        for name in (*MEASURES, "copies_deduplicated", "copies_near"):
            rows[name] = np.full(own.num_rows, np.nan)
        if COUNTED.name in beside:
            self._counted(rows, beside[COUNTED.name])
        if MEASURED.name in beside:
            found = beside[MEASURED.name]
            at, there = rows_of(rows, found)
            for name in MEASURES:
                values = found[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
                rows[name][at] = values[there]
            reason[at] = np.array(found["reason"].to_pylist(), dtype=object)[there]
        self._risks(rows)
        by = np.where(chosen, "model", "text").astype(object)
        by[rows["rank"] < 0] = None
        at_risk = (np.nan_to_num(rows["risk"]) >= self.above) & (rows["end"] > rows["start"])
        act = np.where(at_risk, self.action, "keep")
        return _scores(rows | {"scored_by": by, "action": act, "reason": reason})

    def _counted(self, rows: Columns, found: pa.RecordBatch) -> None:
        at, there = rows_of(rows, found)
        for name in ("copies_input", "copies"):
            rows[name] = rows[name].copy()
            rows[name][at] = found[name].to_numpy()[there]
        rows["copies_deduplicated"][at] = found["copies_deduplicated"].to_numpy()[there]
        near, shingles = (found[name].to_numpy()[there] for name in ("near", "shingles"))
        rows["copies_near"][at] = near / np.maximum(shingles, 1)

    def _risks(self, rows: Columns) -> None:
        """Adds risks and parts, NaN where there is nothing to score; rounded, since the last bits
        of a logarithm depend on where in an array it is taken.
        """
        columns = {name: rows[name] for name in (*WORDING, *MODEL_READS)}
        columns |= {"copies_near": np.nan_to_num(rows["copies_near"])}
        columns |= {"suffix_tokens": rows["suffix_tokens"].astype(np.float64)}
        left = np.where(
            np.isnan(rows["copies_deduplicated"]), rows["copies"], rows["copies_deduplicated"]
        )
        nothing = rows["rank"] < 0
        views = {
            "risk_input": rows["copies_input"], "risk_deduplicated": left, "risk": rows["copies"]
        }  # fmt: skip
        for name, copies in views.items():
            there = columns | {"copies": np.maximum(copies, 1).astype(np.float64)}
            rows[name] = np.where(nothing, np.nan, np.round(self.risk.predict(there), 6))
        parts = self.risk.parts(
            columns | {"copies": np.maximum(rows["copies"], 1).astype(np.float64)}
        )
        for name in PARTS:
            values = parts[name]
            rows[f"part_{name}"] = np.where(nothing, np.nan, np.round(values, 6))
        rows["copies_per_million"] = rows["copies"] * 1e6 / max(self.tokens, 1)


def _risky(scores: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of RISKY, of rows of SCORES."""
    found = scores.filter(pc.not_equal(scores["action"], "keep"))
    return found.select(RISKY.schema.names)


@dataclass(frozen=True)
class Remembered(PlainStage):
    """SCORES of a finished run to its RISKY, which was not kept."""

    inputs: ClassVar[Mapping[str, pa.Schema]] = {SCORES.name: SCORES.schema}
    outputs: ClassVar[Mapping[str, pa.Schema]] = {"risky": RISKY.schema}

    def _run(self, tagged: Tagged) -> Tagged:
        for _, batch in tagged:
            yield "risky", _risky(batch)


def _scores(rows: Mapping[str, NDArray[Any]]) -> pa.RecordBatch:
    arrays = [
        pa.array(rows[column.name], from_pandas=True).cast(column.type) for column in SCORES.schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCORES.schema)


def rows_of(rows: Columns, found: pa.RecordBatch) -> tuple[Ints, NDArray[np.bool_]]:
    """(places in `rows`, which rows of `found` are there), by document and number.

    rows: sorted by both, without gaps within a document.
    """
    docs, numbers = (found[name].to_numpy() for name in ("doc", "number"))
    first = np.minimum(np.searchsorted(rows["doc"], docs), rows["doc"].size - 1)
    at = first + numbers - rows["number"][first]
    inside = np.clip(at, 0, rows["doc"].size - 1)
    there = (at == inside) & (rows["doc"][inside] == docs) & (rows["number"][inside] == numbers)
    return at[there], there


def stretches(
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
