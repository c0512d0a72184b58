"""Texts in, the table of their sequences and measures out.

`Scorer` is opened once per worker, with a loaded model; a call scores one slice. A row's `reason`
says why its measures are null, and is null itself where none is for want of something.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unrote.corpus.schema import MEASURES
from unrote.memorization import measures
from unrote.memorization.config import Config, Models
from unrote.memorization.forward import Floats, Statistics, check_context, statistics, uses_bos
from unrote.memorization.generate import greedy_suffixes
from unrote.memorization.model import LanguageModel, check_same_tokens, load
from unrote.memorization.windows import Sequences, Tokens, sequences, tokenize

GENERATED = ("biderman", "edit_distance", "bleu")

SCORES = pa.schema(
    [
        pa.field("doc", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("prefix_tokens", pa.int32(), nullable=False),
        pa.field("suffix_tokens", pa.int32(), nullable=False),
        *(pa.field(name, kind) for name, kind in MEASURES.items()),
        pa.field("reason", pa.string()),
    ]
)
"""One row per sequence: doc is the index of the text, start and end are code points in it.

loss*         nats per token, of the sequence, its prefix, its suffix; perplexity = exp(loss)
bits          of the sequence under the model; zlib_ratio: over zlib's bits for the same characters
min_k*        mean of the lowest share of (standardised) log-probabilities
loss_relative loss less that of the comparison model; null without one
extractable   whether greedy decoding gives the suffix; extraction_strength is of the sequence
pz_log        ln of the probability that one sample is the suffix; -inf if sampling can't draw it
extracted_within  the probability that it is among Config.queries samples
queries_log   ln of the samples needed to have it with Config.probability; inf if none suffice
biderman      share of suffix positions right when generating freely; edit_distance (in suffix
              lengths) and bleu compare that text with the suffix; null without Config.generate
reason        why measures are null: "no tokens", "one token", "no prefix", "not finite"
"""


@dataclass(frozen=True)
class Scorer:
    """A model with what is to be measured. `comparison` is the second model of loss_relative.

    Raises ConfigError if the two models have different tokenizers, or a sequence is longer than a
    model's context.
    """

    model: LanguageModel
    config: Config = field(default_factory=Config)
    comparison: LanguageModel | None = None

    def __post_init__(self) -> None:
        for model in filter(None, (self.model, self.comparison)):
            check_context(model, self.config.length + uses_bos(model, self.config.bos) - 1)
        if self.comparison is not None:
            check_same_tokens(self.model, self.comparison)

    def table(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> pa.Table:
        """The sequences of `texts` (one slice) and their measures, schema SCORES, by text and
        offset. A text without tokens has one row of nulls. `progress` gets how many of how many
        sequences a pass has done.
        """
        tokens = tokenize(self.model.tokenizer, texts)
        found = sequences(tokens, self.config.prefix, self.config.suffix, self.config.stride)
        columns, reason = self.measured(found, texts, progress)
        return _table(found, columns, reason, tokens)

    def measured(
        self,
        found: Sequences,
        texts: Sequence[str],
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[dict[str, NDArray[np.generic]], list[str | None]]:
        """The measures of each sequence, NaN where there is none, and the reasons for that.

        texts: those that `found.doc` numbers. progress: as in `table`.
        """
        stats = self._statistics(self.model, found, progress)
        columns = self._measures(found, stats, texts)
        if self.comparison is not None:
            others = self._statistics(self.comparison, found, progress)
            # Models may differ in whether they start with BOS: compare the tokens both give.
            ours, theirs = (self._without_first(one, found) for one in (stats, others))
            columns["loss_relative"] = measures.relative_loss(ours, theirs)
        if self.config.generate:
            columns |= self._generated(found, progress)
        return columns, _reasons(found, columns)

    def _statistics(
        self,
        model: LanguageModel,
        found: Sequences,
        progress: Callable[[int, int], None] | None,
    ) -> Statistics:
        return statistics(
            model,
            found,
            top_k=self.config.top_k,
            temperature=self.config.temperature,
            bos=self.config.bos,
            token_budget=self.config.token_budget,
            progress=_counting(progress, len(found)),
        )

    def _without_first(self, stats: Statistics, found: Sequences) -> Floats:
        """Loss over the tokens after a sequence's first, or of a single token that has one."""
        starts, ends = stats.offsets[:-1], stats.offsets[1:]
        scored_all = (ends - starts == found.lengths) & (found.lengths > 1)
        return measures.loss(stats.logprob, starts + scored_all, ends)

    def _measures(
        self, found: Sequences, stats: Statistics, texts: Sequence[str]
    ) -> dict[str, NDArray[np.generic]]:
        starts, suffix, ends = stats.offsets[:-1], stats.suffix, stats.offsets[1:]
        loss = measures.loss(stats.logprob, starts, ends)
        bits = measures.total_bits(stats.logprob, starts, ends)
        unusual = measures.standardized(stats.logprob, stats.mean, stats.variance)
        of_suffix = {
            "extractable": measures.extractable(stats.hit, suffix, ends),
            "pz_log": measures.log_pz(stats.log_q, suffix, ends),
        }
        # A suffix without anything before it cannot be prompted.
        prompted = ends - suffix == found.lengths - found.prefix
        of_suffix = {name: np.where(prompted, value, np.nan) for name, value in of_suffix.items()}
        log_pz = of_suffix["pz_log"]
        columns = of_suffix | {
            "loss": loss,
            "loss_prefix": measures.loss(stats.logprob, starts, suffix),
            "loss_suffix": measures.loss(stats.logprob, suffix, ends),
            "perplexity": measures.perplexity(loss),
            "bits": bits,
            "zlib_ratio": measures.zlib_ratio(bits, _scored_texts(found, stats, texts)),
            "min_k": measures.lowest_mean(stats.logprob, starts, ends, self.config.min_k),
            "min_k_plus_plus": measures.lowest_mean(unusual, starts, ends, self.config.min_k),
            "extraction_strength": measures.extraction_strength(stats.hit, starts, ends),
            "extracted_within": measures.probability_within(log_pz, self.config.queries),
            "queries_log": measures.log_queries(log_pz, self.config.probability),
        }
        return {name: np.where(np.isnan(loss), np.nan, column) for name, column in columns.items()}

    def _generated(
        self, found: Sequences, progress: Callable[[int, int], None] | None
    ) -> dict[str, NDArray[np.generic]]:
        made = greedy_suffixes(
            self.model,
            found,
            bos=self.config.bos,
            token_budget=self.config.token_budget,
            progress=_counting(progress, len(found)),
        )
        scores = np.full((len(found), len(GENERATED)), np.nan)
        for row, generated in enumerate(made):
            if generated.size:
                true = found.ids[found.offsets[row] + found.prefix[row] : found.offsets[row + 1]]
                scores[row] = (
                    measures.biderman_score(generated[None], true[None])[0],
                    measures.edit_distance(generated, true) / true.size,
                    measures.bleu(generated.tolist(), true.tolist()),
                )
        return dict(zip(GENERATED, scores.T, strict=True))


_DEVICE = threading.Lock()


def scorer_of(models: Models, threads: int = 0) -> Scorer:
    """The scorer of models, loaded once for a process.

    threads: how many torch uses on a CPU from here on in this thread; 0 leaves it.
    Raises ConfigError as `load`, and as Scorer.
    """
    if threads:
        torch.set_num_threads(threads)  # Spark allows its workers one otherwise
    return _scorer(models)


@contextmanager
def only_scorer(models: Models) -> Iterator[Scorer]:
    """The scorer of models for one thread at a time: a device, or torch's threads on all cores,
    have no use for two.
    """
    with _DEVICE:
        yield scorer_of(models, os.cpu_count() or 1)


@lru_cache(maxsize=1)
def _scorer(models: Models) -> Scorer:
    first, *others = (load(name, models.device, models.precision) for name in models.names)
    return Scorer(first, models.config, others[0] if others else None)


def _counting(
    progress: Callable[[int, int], None] | None, total: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(done, total)

    return count


def _scored_texts(found: Sequences, stats: Statistics, texts: Sequence[str]) -> list[str]:
    """The characters of each sequence's tokens that have a probability."""
    begins = np.where(np.diff(stats.offsets) < found.lengths, found.second, found.start)
    return [
        texts[doc][begin:end]
        for doc, begin, end in zip(
            found.doc.tolist(), begins.tolist(), found.end.tolist(), strict=True
        )
    ]


def measure_arrays(columns: Mapping[str, NDArray[np.generic]], rows: int) -> list[pa.Array]:
    """The columns MEASURES, NaN as null; those that were not taken are null."""
    return [
        pa.array(np.asarray(columns[name], np.float64), from_pandas=True).cast(kind)
        if name in columns
        else pa.nulls(rows, kind)
        for name, kind in MEASURES.items()
    ]


def _table(
    found: Sequences,
    columns: Mapping[str, NDArray[np.generic]],
    reason: list[str | None],
    tokens: Tokens,
) -> pa.Table:
    """The measures, NaN as null with a reason, and a row for each text without tokens."""
    n = len(found)
    known = {
        "doc": found.doc,
        "start": found.start,
        "end": found.end,
        "prefix_tokens": found.prefix,
        "suffix_tokens": found.lengths - found.prefix,
    }
    offsets = [pa.array(values).cast(SCORES.field(name).type) for name, values in known.items()]
    arrays = [*offsets, *measure_arrays(columns, n), pa.array(reason, pa.string())]
    rows = pa.Table.from_arrays(arrays, schema=SCORES)
    empty = np.flatnonzero(np.diff(tokens.offsets) == 0)
    nothing = [
        {"doc": doc, "start": 0, "end": end, "prefix_tokens": 0, "suffix_tokens": 0}
        | {"reason": "no tokens"}
        for doc, end in zip(empty.tolist(), tokens.chars[empty].tolist(), strict=True)
    ]
    whole = pa.concat_tables([rows, pa.Table.from_pylist(nothing, SCORES)])
    order = [(name, "ascending") for name in ("doc", "start", "end")]
    return whole.sort_by(order).combine_chunks()


def _reasons(found: Sequences, columns: dict[str, NDArray[np.generic]]) -> list[str | None]:
    """Why a sequence lacks measures; None where it has all."""
    reason = np.full(len(found), None, dtype=object)
    reason[np.isnan(columns["pz_log"])] = "no prefix"
    reason[np.isnan(columns["loss"])] = "not finite"
    reason[np.isnan(columns["loss"]) & (found.lengths == 1)] = "one token"
    return list(reason)
