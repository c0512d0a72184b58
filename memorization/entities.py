"""Prior-aware memorization of entities (2602.18733): does a model complete an entity because of its
left context, or because it is common?

The probability of an entity after its left context is divided by its prior, the mean of its
probability after unrelated contexts. A name that a model writes anywhere is no secret of this text,
however probable it is here.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from unrote.memorization import measures
from unrote.memorization.forward import Floats, statistics
from unrote.memorization.model import LanguageModel
from unrote.memorization.windows import (
    Ints,
    Sequences,
    Tokens,
    offsets_of,
    tokens_of,
)

ENTITIES = pa.schema(
    [
        pa.field("doc", pa.int64(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("contexts", pa.int32(), nullable=False),
        pa.field("log_probability", pa.float64()),
        pa.field("log_prior", pa.float64()),
        pa.field("log_ratio", pa.float64()),
        pa.field("reason", pa.string()),
    ]
)
"""One row per entity, in the order given: doc, start, end as given (code points); the tokens that
cover it (they may reach beyond it: a space before it is mostly part of one); unrelated contexts
used; ln of its probability after its own left context, ln of its mean probability after the
unrelated ones, their difference; why they are null: "no context" before it, "no unrelated context",
"no tokens", "longer than the model reads", "not finite".
"""


class Context(NamedTuple):
    """A left context: the text it is of, its characters, its tokens."""

    doc: int
    text: str
    ids: Ints


class Entity:
    """An entity to be completed: its tokens (int64[n]) after contexts, its own first.

    context: its own. bos: whether the model reads a beginning-of-text token before a sequence.
    """

    def __init__(self, text: str, ids: Ints, context: Context, *, bos: bool) -> None:
        self.text, self.ids, self.own = text, ids, context
        self.contexts = [context.ids]
        self.reason = ""
        if ids.size == 0:
            self.reason = "no tokens"
        elif context.ids.size == 0 and not bos:
            self.reason = "no context"

    def choose(self, pool: Sequence[Context], count: int, room: int) -> None:
        """Adds the first `count` unrelated contexts of the pool: of another text, with other
        characters than its own context, and without the entity's.

        room: the tokens that the model reads at once.
        """
        fitting = (
            other.ids
            for other in pool
            if other.doc != self.own.doc
            and self.text not in other.text
            and other.text != self.own.text
        )
        self.contexts += islice(fitting, count)
        longest = max(ids.size for ids in self.contexts)
        if not self.reason and len(self.contexts) == 1:
            self.reason = "no unrelated context"
        elif not self.reason and longest + self.ids.size - 1 > room:
            self.reason = "longer than the model reads"


def shuffled(pool: Sequence[Context], seed: int) -> list[Context]:
    """The contexts in random order, without those that have no tokens."""
    order = np.random.default_rng(seed).permutation(len(pool))
    return [pool[i] for i in order.tolist() if pool[i].ids.size]


def with_context(
    tokens: Tokens, texts: Sequence[str], doc: int, span: tuple[int, int], context: int
) -> tuple[Ints, Context]:
    """The tokens that cover the span (start, end) of texts[doc], and up to `context` before it."""
    first, last = tokens_of(tokens, doc, *span)
    begin = max(int(tokens.offsets[doc]), first - context)
    before = texts[doc][_start(tokens, doc, begin) : _start(tokens, doc, first)]
    return tokens.ids[first:last], Context(doc, before, tokens.ids[begin:first])


def _start(tokens: Tokens, doc: int, token: int) -> int:
    """The code point of the text at which a token begins."""
    return int(tokens.ends[token - 1]) if token > tokens.offsets[doc] else 0


def completions(
    model: LanguageModel, entities: Sequence[Entity], bos: bool | None, token_budget: int
) -> list[dict[str, Any]]:
    """The columns of ENTITIES that the model gives of each entity."""
    able = [entity for entity in entities if not entity.reason]
    rows = [(context, entity.ids) for entity in able for context in entity.contexts]
    logs = iter(_suffix_logs(model, rows, bos, token_budget))
    measured = []
    for entity in entities:
        own = prior = None
        if not entity.reason:
            values = np.array([next(logs) for _ in entity.contexts])
            own, prior = float(values[0]), measures.log_mean_exp(values[1:])
            if not (np.isfinite(own) and np.isfinite(prior)):
                own = prior = None
                entity.reason = "not finite"
        measured.append(
            {"tokens": entity.ids.size, "contexts": len(entity.contexts) - 1}
            | {"log_probability": own, "log_prior": prior, "reason": entity.reason or None}
            | {"log_ratio": None if own is None or prior is None else own - prior}
        )
    return measured


def _suffix_logs(
    model: LanguageModel, rows: list[tuple[Ints, Ints]], bos: bool | None, token_budget: int
) -> Floats:
    """Log-probability of each suffix after its prefix: float64[n]."""
    prefix = np.array([before.size for before, _ in rows], dtype=np.int64)
    suffix = np.array([ids.size for _, ids in rows], dtype=np.int64)
    empty = np.empty(0, dtype=np.int64)
    unused = np.zeros(len(rows), dtype=np.int64)
    ids = np.concatenate([empty, *(part for row in rows for part in row)])
    found = Sequences(ids, offsets_of(prefix + suffix), prefix, unused, unused, unused, unused)
    stats = statistics(model, found, top_k=1, bos=bos, token_budget=token_budget)
    return measures.sums(stats.logprob, stats.suffix, stats.offsets[1:])
