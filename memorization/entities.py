"""Does a model complete an entity because of what stands before it, or because it is common?

The probability of an entity given its left context, over the mean of its probability after
unrelated contexts: the prior-aware test (2602.18733). A name that a model writes anywhere is no
secret of this text, however probable it is here.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from memorization import measures
from memorization.forward import Floats, statistics, uses_bos
from memorization.model import LanguageModel
from memorization.windows import (
    Ints,
    Sequences,
    Tokens,
    offsets_of,
    tokenize,
    tokens_of,
    window_starts,
)

AT_ONCE = 1024
"""Entities whose sequences are in memory together."""

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


def entity_risk(
    model: LanguageModel,
    texts: Sequence[str],
    entities: pa.Table,
    *,
    context: int = 50,
    unrelated: int = 32,
    background: Sequence[str] | None = None,
    seed: int = 0,
    bos: bool | None = None,
    token_budget: int = 0,
) -> pa.Table:
    """The prior-aware probability of each entity, schema ENTITIES.

    entities: columns doc (index in texts), start, end. context: tokens before it, at most.
    unrelated: how many other contexts, of as many tokens, are drawn (by seed) from other texts, or
    from `background`; none that holds the entity's own characters.
    Raises RunError if memory does not suffice for one sequence.
    """
    tokens = tokenize(model.tokenizer, texts)
    other = tokens if background is None else tokenize(model.tokenizer, background)
    source = texts if background is None else background
    pool = _pool(other, source, context, np.random.default_rng(seed))
    lead = int(uses_bos(model, bos))
    parts = []
    for at in range(0, len(entities), AT_ONCE):
        asked = [
            _Entity(tokens, texts, row, context, model.context - lead, bool(lead))
            for row in entities.slice(at, AT_ONCE).select(["doc", "start", "end"]).to_pylist()
        ]
        for entity in asked:
            entity.choose(pool, unrelated, own_texts=background is None)
        parts.append(_answer(model, asked, bos, token_budget))
    return pa.concat_tables([ENTITIES.empty_table(), *parts]).combine_chunks()


class _Entity:
    """One entity: what comes before it, its tokens, and the contexts that it is tried in."""

    def __init__(
        self,
        tokens: Tokens,
        texts: Sequence[str],
        row: dict[str, int],
        context: int,
        room: int,
        begins: bool,
    ) -> None:
        self.row = row
        self.text = texts[row["doc"]][row["start"] : row["end"]]
        first, last = tokens_of(tokens, row["doc"], row["start"], row["end"])
        begin = max(int(tokens.offsets[row["doc"]]), first - context)
        self.ids = tokens.ids[first:last]
        self.contexts = [tokens.ids[begin:first]]
        self.reason = ""
        if self.ids.size == 0:
            self.reason = "no tokens"
        elif first == begin and not begins:
            self.reason = "no context"
        self.room = room

    def choose(self, pool: "list[tuple[int, str, Ints]]", count: int, own_texts: bool) -> None:
        """Adds the first `count` contexts of the pool that have nothing to do with the entity."""
        doc = self.row["doc"] if own_texts else -1
        fitting = (ids for text, chars, ids in pool if text != doc and self.text not in chars)
        self.contexts += [ids for _, ids in zip(range(count), fitting, strict=False)]
        longest = max(ids.size for ids in self.contexts)
        if not self.reason and len(self.contexts) == 1:
            self.reason = "no unrelated context"
        elif not self.reason and longest + self.ids.size - 1 > self.room:
            self.reason = "longer than the model reads"


def _pool(
    tokens: Tokens, texts: Sequence[str], context: int, random: np.random.Generator
) -> list[tuple[int, str, Ints]]:
    """All contexts of `context` tokens (shorter texts: all of theirs) in random order: the index of
    the text, the characters, the tokens.
    """
    found = []
    for doc in range(len(texts)):
        begin, stop = int(tokens.offsets[doc]), int(tokens.offsets[doc + 1])
        for first in window_starts(stop - begin, context, context).tolist():
            last = min(begin + first + context, stop)
            start = int(tokens.ends[begin + first - 1]) if first else 0
            chars = texts[doc][start : int(tokens.ends[last - 1])]
            found.append((doc, chars, tokens.ids[begin + first : last]))
    return [found[i] for i in random.permutation(len(found))]


def _answer(
    model: LanguageModel, asked: list[_Entity], bos: bool | None, token_budget: int
) -> pa.Table:
    able = [entity for entity in asked if not entity.reason]
    rows = [(context, entity.ids) for entity in able for context in entity.contexts]
    logs = iter(_suffix_logs(model, rows, bos, token_budget))
    answers = []
    for entity in asked:
        own = prior = None
        if not entity.reason:
            values = np.array([next(logs) for _ in entity.contexts])
            own, prior = float(values[0]), measures.log_mean_exp(values[1:])
            if not (np.isfinite(own) and np.isfinite(prior)):
                own = prior = None
                entity.reason = "not finite"
        answers.append(
            entity.row
            | {"tokens": entity.ids.size, "contexts": len(entity.contexts) - 1}
            | {"log_probability": own, "log_prior": prior, "reason": entity.reason or None}
            | {"log_ratio": None if own is None or prior is None else own - prior}
        )
    return pa.Table.from_pylist(answers, ENTITIES)


def _suffix_logs(
    model: LanguageModel, rows: list[tuple[Ints, Ints]], bos: bool | None, token_budget: int
) -> Floats:
    """Log-probability of each suffix after its prefix: float64[n]."""
    prefix = np.array([before.size for before, _ in rows], dtype=np.int64)
    suffix = np.array([ids.size for _, ids in rows], dtype=np.int64)
    empty = np.empty(0, dtype=np.int64)
    nowhere = np.zeros(len(rows), dtype=np.int64)
    ids = np.concatenate([empty, *(part for row in rows for part in row)])
    found = Sequences(ids, offsets_of(prefix + suffix), prefix, nowhere, nowhere, nowhere, nowhere)
    said = statistics(model, found, top_k=1, bos=bos, token_budget=token_budget)
    return measures.sums(said.logprob, said.suffix, said.offsets[1:])
