"""All tables, and the document key.

A document is known by an int64 `doc`: the shard's number and the row's number within it, so that
sorting by `doc` is sorting by position in the input. Row numbers count the shard's non-blank lines
(JSONL), rows (Parquet) or are 0 (text files). Offsets in published tables are Unicode code points
of the input text; internal tables may use UTF-8 bytes and then say so in the column's name.

Keys and sort columns are int64 everywhere, because every engine sorts those alike.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

ROW_BITS = 36
MAX_ROWS = 1 << ROW_BITS
MAX_SHARDS = 1 << (63 - ROW_BITS)

Tagged = Iterator[tuple[str, pa.RecordBatch]]
"""Record batches between stages, each under the name of the input or output that it is."""


INDEXED = -(1 << 62)
"""Document n of an index (dedup.index) has the key INDEXED + n: it comes before all documents of
the input, and lies in the first slice."""


def doc_key(shard: int, row: int) -> int:
    """The key of the document in row `row` of shard `shard`."""
    return shard << ROW_BITS | row


def shard_of(doc: int) -> int:
    return doc >> ROW_BITS


def row_of(doc: int) -> int:
    return doc & (MAX_ROWS - 1)


@dataclass(frozen=True)
class Table:
    """A named table: one Parquet file per slice, rows sorted by `sort`.

    `sort` starts with the column that says to which slice a row belongs. An empty `sort` keeps the
    order in which a slice's rows were read. Internal tables go when the run is finished. A stage
    knows a table by its name, whichever round it is of.
    """

    name: str
    schema: pa.Schema
    sort: tuple[str, ...] = ("doc",)
    internal: bool = True
    rounds: tuple[int, ...] = ()

    def at(self, *numbers: int) -> "Table":
        """The table of this kind that round `numbers` of a repeated phase writes, each from 1: the
        second number is of what is repeated within a round.
        """
        return replace(self, rounds=numbers)

    @property
    def folder(self) -> str:
        """The name that tells it from the tables of other rounds."""
        return "-".join((self.name, *map(str, self.rounds)))


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


_int = pa.int64()
_str = pa.string()

# What a corpus is read as. Not stored.

TEXT = _schema(doc=_int, text=_str)

RECORDS = _schema(
    doc=_int,
    shard=_str,
    row=_int,
    id=_str,
    source=_str,
    order=_str,
    text=_str,
    columns=pa.list_(_str),
)
"""A row with what is known about it. `id` is derived if missing; `order` is the raw value (a JSON
scalar's text) of the field that the keep policy names, null if there is none. `columns` are the
values of `Fields.columns`, as many and in that order; null where there is none or no string."""

# Published tables.

DOCUMENTS = Table(
    "documents",
    _schema(doc=_int, id=_str, shard=_str, row=_int, source=_str, bytes=_int, words=_int),
    internal=False,
)
DUPLICATES = Table(
    "duplicates",
    _schema(doc=_int, reason=_str, twin=_int, similarity=pa.float64()),
    internal=False,
)
SPANS = Table(
    "spans",
    _schema(
        doc=_int,
        start=_int,
        end=_int,
        witness=_int,
        witness_start=_int,
        witness_end=_int,
        occurrences=_int,
    ),
    sort=("doc", "start", "end", "witness", "witness_start"),
    internal=False,
)
"""Duplicate passages, and where the text of each stands earlier: `witness_start` to `witness_end`
of the document `witness`, as it is compared (corpus.normalization)."""
UNCUT = Table(
    "uncut",
    SPANS.schema.append(pa.field("bytes", _int)),
    sort=SPANS.sort,
    internal=False,
)
"""Duplicate passages that stay: no part of them can be cut at `dedup.passages.boundary`, or they
have fewer than `min_words` words. `bytes` are those of the text that no row before it covers."""

FINDINGS = Table(
    "findings",
    _schema(
        doc=_int,
        field=_int,
        start=_int,
        end=_int,
        type=_str,
        score=pa.float64(),
        action=_str,
        origin=_str,
        stands_for=_str,
        fingerprint=_str,
        surrogate_fingerprint=_str,
    ),
    sort=("doc", "field", "start", "end"),
    internal=False,
)
"""Personal data and de-identification markers in the deduplicated documents; no values.

`field` is 0 for the text, n for the n-th of the named other columns. Findings of a field do not
overlap. `action` is what was done, or "cut" where the text around the finding went as a copied
passage. `stands_for` is what a marker stands for, "" where unknown. `fingerprint` is of the value,
`surrogate_fingerprint` of its surrogate (null where there is none); both are keyed: equal values of
a type have equal ones, and without the key they say nothing."""

VALUES = Table(
    "values",
    _schema(doc=_int, field=_int, value=_int, start=_int, end=_int),
    sort=("doc", "field", "value"),
    internal=False,
)
"""Where texts may have several values (corpus.paths): the n-th value of a field, from 0,
is start:end of its text, in which a line break stands between two values. All other tables count in
that text. `field` is as in FINDINGS."""

INDEX_TWINS = Table(
    "index_twins", _schema(doc=_int, id=_str, run=_int, copies=_int, passages=_int), internal=False
)
"""Documents of the index (`dedup.index`) that are twins in DUPLICATES or witnesses in SPANS and
UNCUT: `run` counts the runs that added to it, from 1, as `unrote index info` lists them, `copies`
the documents that were removed for this one, `passages` the rows of which it is the witness."""

MEASURES: Mapping[str, pa.DataType] = {
    "loss": pa.float64(),
    "loss_prefix": pa.float64(),
    "loss_suffix": pa.float64(),
    "perplexity": pa.float64(),
    "bits": pa.float64(),
    "zlib_ratio": pa.float64(),
    "min_k": pa.float64(),
    "min_k_plus_plus": pa.float64(),
    "loss_relative": pa.float64(),
    "extractable": pa.bool_(),
    "extraction_strength": pa.float64(),
    "pz_log": pa.float64(),
    "extracted_within": pa.float64(),
    "queries_log": pa.float64(),
    "biderman": pa.float64(),
    "edit_distance": pa.float64(),
    "bleu": pa.float64(),
}
"""The memorization measures of a sequence (memorization.scorer.SCORES says what each is)."""

RISKS = tuple(
    f"risk{view}{end}" for view in ("_input", "_deduplicated", "") for end in ("_low", "", "_high")
)
"""The risk with the copies of each view: the low end of its band, the middle, the high end."""

TEXT_FEATURES = ("template", "repetition", "rare_words", "word_duplication")
"""What the text of a sequence alone says of it (memorization.text_features)."""

SCORES = Table(
    "scores",
    _schema(
        doc=_int,
        start=_int,
        end=_int,
        prefix_tokens=_int,
        suffix_tokens=_int,
        scored_by=_str,
        sampled=pa.bool_(),
        copies_input=_int,
        copies_deduplicated=_int,
        copies=_int,
        copies_near=pa.float64(),
        copies_per_million=pa.float64(),
        **dict.fromkeys(TEXT_FEATURES, pa.float64()),
        tabular=_str,
        **MEASURES,
        **dict.fromkeys(RISKS, pa.float64()),
        memorized=pa.float64(),
        predictable=pa.float64(),
        category=_str,
        action=_str,
        reason=_str,
    ),
    sort=("doc", "start", "end"),
    internal=False,
)
"""The sequences of the released text, and the risk that each is extractable from a model trained on
it.

start, end    what the sequence stands for in the input: replaced values whole, cuts between its
              two sides too
scored_by     "model": the reference model has read it; "text": by its text features and copies
              alone; null: it has no token
sampled       whether it is in the random sample, which is representative of all
copies_*      exact copies of it in the input (before anything was replaced), in what deduplication
              left, and (`copies`) in the released text, itself among them. Counted for the
              riskiest and for all that the reference model has read; elsewhere estimated by the
              rarest of the sampled substrings of 32 bytes in it, and copies_deduplicated is null
copies_near   documents without such a copy that share word 5-grams with it, each with the share
copies_per_million  copies for each million tokens of the released text
tabular       in a document that is a table (CSV-like): "head", it begins in the header or the first
              ten rows, "rows", behind; null: in no table
risk*         the probability that it is extractable from the target, with the copies of each view:
              the middle of a band, and its ends (memorization.risk)
memorized     of `risk` what copies do, whatever the content
predictable   what a model does that has not seen the text; null where none has read it. Either
              suffices: risk = 1 - (1 - memorized) * (1 - predictable), as for the band's ends
category      why: "recite" (many copies), "reconstruct" (a pattern, or the reference model
              completes it), "recollect" (neither); null: it has no token
action        what was done: "keep", "remove-sequence", "remove-document"
reason        why measures are null, as in memorization.scorer.SCORES; "not selected" where
              the reference model did not read it
"""

ENTITIES = Table(
    "entities",
    _schema(
        doc=_int,
        start=_int,
        end=_int,
        type=_str,
        tokens=_int,
        contexts=_int,
        log_probability=pa.float64(),
        log_prior=pa.float64(),
        log_ratio=pa.float64(),
        reason=_str,
    ),
    sort=("doc", "start", "end"),
    internal=False,
)
"""Personal data that stays in the released text, and whether the reference model completes it from
its left context (memorization.entities says what the columns are)."""

MASKS = Table(
    "masks", _schema(doc=_int, tokens=_int, positions=pa.list_(pa.int32())), internal=False
)
"""Goldfish masks: the tokens of each released document, and the positions (in its released text,
ascending) of those to leave out of the training loss."""

CONTAMINATION = Table(
    "contamination",
    _schema(
        doc=_int,
        number=_int,
        set=_str,
        item=_str,
        start=_int,
        end=_int,
        words=_int,
        item_start=_int,
        contaminated=pa.bool_(),
        overlap=pa.float64(),
        action=_str,
    ),
    sort=("doc", "start", "end", "number", "item_start"),
    internal=False,
)
"""Passages of 8 words or more that a document shares with an item of an evaluation set
(dedup.contamination), in the documents that deduplication leaves. `number` is the item's among
those of all sets, from 0; start, end: in the document; item_start: words of the item before the
passage; overlap: the share of the item's words that such passages of this document have;
contaminated: whether it counts by `contamination.rule`; action: what was done, "keep" where it does
not count."""

EVALUATION_ITEMS = Table(
    "evaluation_items",
    _schema(
        doc=_int,
        number=_int,
        set=_str,
        item=_str,
        words=_int,
        ngram=_int,
        template=_int,
        documents=_int,
        longest=_int,
        overlap=pa.float64(),
        overlap_long=pa.float64(),
        most=pa.float64(),
        contaminated=pa.bool_(),
    ),
    sort=("doc", "number"),
    internal=False,
)
"""The items of evaluation sets, and what they share with the corpus. `doc` is 0 and means nothing.
ngram: the n of GPT-3's rule for the set; template: 8-grams of it that more than 100 items of the
set have, which are not looked for; documents: that share a passage of 8 words or more; longest:
words of the longest; overlap: the share of the item's words in such passages of any document,
overlap_long: in passages of more than ten words; most: in those of one document."""

LANGUAGES = Table("languages", _schema(doc=_int, language=_str, letters=_int), internal=False)
"""The language of each document that deduplication leaves (corpus.languages): by ISO 639, or
"unknown"; letters: of the whole text, passages that are cut among them."""

SCRIPTS = Table(
    "scripts",
    _schema(doc=_int, number=_int, script=_str, letters=_int),
    sort=("doc", "number"),
    internal=False,
)
"""The letters of these documents by script (ISO 15924). `number` counts a document's scripts, from
0, that with the most letters first; letters that several scripts share are in none."""

REJECTS = Table("rejects", _schema(doc=_int, shard=_str, row=_int, reason=_str), internal=False)
"""Rows that could not be read, and documents that a detector could not finish or that hold what is
not to be released. `doc` is what the row's key is, or would be."""

PUBLISHED = (
    DOCUMENTS,
    VALUES,
    DUPLICATES,
    INDEX_TWINS,
    SPANS,
    UNCUT,
    FINDINGS,
    SCORES,
    ENTITIES,
    MASKS,
    CONTAMINATION,
    EVALUATION_ITEMS,
    LANGUAGES,
    SCRIPTS,
    REJECTS,
)

# Internal tables: the rejects of each phase, and what is put in the place of findings.

READ_REJECTS = Table("read_rejects", REJECTS.schema)
"""Rows that could not be read."""

SCAN_REJECTS = Table("scan_rejects", REJECTS.schema)
"""Documents that a detector could not finish, or with a finding that is not to be released."""

RISK_REJECTS = Table("risk_rejects", REJECTS.schema)
"""Documents with a sequence at risk of memorization, where these are removed."""

UNSAMPLED = Table("unsampled", _schema(doc=_int))
"""Documents that are not searched for personal data (`pii.sample`)."""

CONTAMINATION_REJECTS = Table("contamination_rejects", REJECTS.schema)
"""Documents that contaminate an evaluation set, where these are removed."""

CONTAMINATED = Table(
    "contaminated", _schema(doc=_int, start=_int, end=_int), sort=("doc", "start", "end")
)
"""Passages of CONTAMINATION that count, each once."""

LISTED_ITEMS = Table(
    "listed_items",
    _schema(doc=_int, number=_int, set=_str, item=_str, words=_int, ngram=_int, template=_int),
    sort=("doc", "number"),
)
"""The items of evaluation sets, as EVALUATION_ITEMS has them. `doc` is 0."""

ITEM_TEXTS = Table(
    "item_texts", _schema(doc=_int, number=_int, set=_int, text=_str), sort=("doc", "number")
)
"""The items' texts, in the form in which they are compared; `set` is the number of the set, from 0.
`doc` is 0."""

REPLACEMENTS = Table(
    "replacements",
    _schema(doc=_int, field=_int, start=_int, end=_int, text=_str),
    sort=("doc", "field", "start", "end"),
)
"""`text` replaces start:end of a field. None overlaps another; `text` may be empty."""

# Internal tables: entities by a model.

NER_WINDOWS = Table(
    "ner_windows",
    _schema(
        doc=_int,
        number=_int,
        field=_int,
        own_start=_int,
        own_end=_int,
        size=_int,
        start=_int,
        ids=pa.list_(pa.int32()),
        starts=pa.list_(pa.int32()),
        ends=pa.list_(pa.int32()),
        text=_str,
    ),
    sort=("doc", "number"),
)
"""What a model for entities reads at once (pii.ner.windows); `number` counts within a document."""

NAMED_ENTITIES = Table(
    "named_entities",
    _schema(
        doc=_int,
        number=_int,
        entity=_int,
        field=_int,
        start=_int,
        end=_int,
        type=_str,
        score=pa.float64(),
    ),
    sort=("doc", "number", "entity"),
)
"""What the model found in window `number` of a document, whatever its score; `entity` counts within
the window. Those of one window may overlap those of another."""
# Internal tables: values that are replaced in every document (`pii.everywhere`).

FIRST_FINDINGS = Table("first_findings", FINDINGS.schema, sort=FINDINGS.sort)
"""FINDINGS of each document by itself."""

FIRST_REPLACEMENTS = Table("first_replacements", REPLACEMENTS.schema, sort=REPLACEMENTS.sort)

REPLACED_VALUES = Table(
    "replaced_values",
    _schema(
        doc=_int,
        number=_int,
        high=_int,
        low=_int,
        head=_int,
        length=_int,
        signed=pa.bool_(),
        type=_str,
        score=pa.float64(),
        origin=_str,
        action=_str,
        stands_for=_str,
        replacement=_str,
        template=_str,
    ),
    sort=("doc", "number"),
)
"""Values that were replaced, each with the first document that has it; no value.

`high` and `low` are a keyed fingerprint of what its spellings have in common, of `length`
characters and, if `signed`, a plus sign before them; `head` is one of its first characters.
`template` is the value with an x for each run of letters and digits."""

# Internal tables: memorization.

REPEATED_SUBSTRINGS = Table(
    "repeated_substrings",
    _schema(doc=_int, start_byte=_int, copies_input=_int, copies=_int),
    sort=("doc", "start_byte"),
)
"""Sampled substrings of the released text that occur more than once (corpus.substrings)."""

SEQUENCES = Table(
    "sequences",
    _schema(
        doc=_int,
        number=_int,
        start=_int,
        end=_int,
        released_start=_int,
        second_token=_int,
        released_end=_int,
        prefix_tokens=_int,
        ids=pa.list_(pa.int32()),
        copies_input=_int,
        copies=_int,
        **dict.fromkeys(TEXT_FEATURES, pa.float64()),
        tabular=_int,
        rank=_int,
        random=_int,
    ),
    sort=("doc", "number"),
)
"""The sequences of a document. `released_start`, `second_token` and `released_end` are code points
of the released text: where it, its second token, and what follows it begin. `tabular` is a number
in memorization.tabular.TABULAR. `rank` orders by the
number of its copies (-1: there is nothing to score), `random` at random in 0 ...
2**32."""

SELECTED = Table(
    "selected",
    _schema(doc=_int, number=_int, text=_str, source=_str),
    sort=("doc", "number"),
)
"""Sequences of which the copies are counted: released text, and what it was before values in it
were replaced (null if the same)."""

READ = Table(
    "read",
    _schema(
        doc=_int,
        number=_int,
        batch_group=_int,
        prefix_tokens=_int,
        second_token=_int,
        ids=pa.list_(pa.int32()),
        text=_str,
    ),
    sort=("doc", "number"),
)
"""Those of SELECTED that the reference model reads, a batch group at a time. `second_token` is in
code points of `text`."""

SEQUENCE_COPIES = Table(
    "sequence_copies",
    _schema(
        doc=_int,
        number=_int,
        copies_input=_int,
        copies_deduplicated=_int,
        copies=_int,
        near=_int,
        shingles=_int,
    ),
    sort=("doc", "number"),
)
"""Copies of the selected sequences. `near` over `shingles` is `copies_near` of SCORES."""

MEASURED = Table(
    "measured",
    _schema(doc=_int, number=_int, **MEASURES, reason=_str),
    sort=("doc", "number"),
)
"""The reference model's measures of the sequences that it reads."""

AT_RISK = Table("at_risk", _schema(doc=_int, start=_int, end=_int), sort=("doc", "start", "end"))
"""The sequences of SCORES that are not to be released, by their offsets in the input."""

KEPT_FINDINGS = Table(
    "kept_findings",
    _schema(doc=_int, start=_int, end=_int, type=_str),
    sort=("doc", "start", "end"),
)
"""Findings in the text that were kept as they are and that may be somebody's secret."""

# Internal tables: duplicate documents.

FINGERPRINTS = Table("fingerprints", _schema(doc=_int, high=_int, low=_int, rank=_int))
"""128-bit fingerprint of the normalised text, and the rank in keep order (lower is kept)."""

BANDS = Table("bands", _schema(doc=_int, bucket=_int, rank=_int), sort=("doc", "bucket"))
"""The LSH buckets a document is in; `bucket` hashes the band's number and its signature rows."""

EXACT = Table("exact", DUPLICATES.schema)
UNDECIDED = Table("undecided", BANDS.schema, sort=("doc", "bucket"))
PAIRS = Table("pairs", _schema(doc=_int, kept=_int, kept_rank=_int), sort=("doc", "kept"))
KEPT = Table("kept", _schema(doc=_int, rank=_int))
NEAR = Table("near", DUPLICATES.schema)

# Internal tables: an index of earlier runs.

FORGOTTEN = Table("forgotten", REJECTS.schema)
"""Documents whose fingerprints are on the index's list of what may not come back."""

INDEXED_NEAR = Table("indexed_near", DUPLICATES.schema)
"""Documents of the index that were near-duplicates there and have exact copies in this run."""

INDEX_ANCHORS = Table("index_anchors", _schema(doc=_int, hash=_int), sort=("doc", "hash"))
"""Anchors of duplicate windows (dedup.anchors) of which this run has the first with its text."""

INDEX_TEXTS = Table("index_texts", TEXT)
"""The texts of the documents that this run adds to the index."""

# Internal tables: duplicate passages.

COPIES = Table(
    "copies",
    _schema(
        doc=_int,
        start_byte=_int,
        windows=_int,
        witness=_int,
        witness_byte=_int,
        witness_char=_int,
        occurrences=_int,
    ),
    sort=("doc", "start_byte", "witness", "witness_byte"),
)
"""`windows` consecutive windows of `min_bytes` bytes, from `start_byte`, each of which occurs first
at the same distance from `witness_byte` in `witness`. `witness_char` is `witness_byte` in code
points (the number of code points that start before it). All of them are those of the texts as they
are compared (corpus.normalization)."""

WITNESSES = Table(
    "witnesses",
    _schema(
        doc=_int,
        witness=_int,
        role=_int,
        start=_int,
        end=_int,
        witness_start=_int,
        witness_end=_int,
        occurrences=_int,
        bytes=_int,
        alignment=pa.list_(pa.int32()),
    ),
    sort=("doc",),
)
"""What it takes to say where witnesses are in the input's text. Role 0: a document with other
offsets than its compared text, and its alignment (dedup.alignment); the table has these alone.
Passages of SPANS (role 1) and UNCUT (role 2) go beside them, with offsets in the compared
text of the witness."""
