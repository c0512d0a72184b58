"""What a run folder holds: the columns of its tables, written down again, not imported."""

import lzma
import zlib

import pyarrow as pa
import zstandard

ROW_BITS = 36
"""A document's key is `shard << 36 | row`. Written down again, not imported: it is a promise."""

TABLES: dict[str, dict[str, str]] = {
    "documents": {
        "doc": "int64",
        "id": "string",
        "shard": "string",
        "row": "int64",
        "source": "string",
        "bytes": "int64",
        "words": "int64",
    },
    "values": {
        "doc": "int64",
        "field": "int64",
        "value": "int64",
        "start": "int64",
        "end": "int64",
    },
    "duplicates": {"doc": "int64", "reason": "string", "twin": "int64", "similarity": "double"},
    "index_twins": {
        "doc": "int64",
        "id": "string",
        "run": "int64",
        "copies": "int64",
        "passages": "int64",
    },
    "spans": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "witness": "int64",
        "witness_start": "int64",
        "witness_end": "int64",
        "occurrences": "int64",
    },
    "uncut": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "witness": "int64",
        "witness_start": "int64",
        "witness_end": "int64",
        "occurrences": "int64",
        "bytes": "int64",
    },
    "findings": {
        "doc": "int64",
        "field": "int64",
        "start": "int64",
        "end": "int64",
        "type": "string",
        "score": "double",
        "action": "string",
        "origin": "string",
        "stands_for": "string",
        "fingerprint": "string",
        "surrogate_fingerprint": "string",
    },
    "scores": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "prefix_tokens": "int64",
        "suffix_tokens": "int64",
        "scored_by": "string",
        "sampled": "bool",
        "copies_input": "int64",
        "copies_deduplicated": "int64",
        "copies": "int64",
        "copies_near": "double",
        "copies_per_million": "double",
        "template": "double",
        "repetition": "double",
        "rare_words": "double",
        "word_duplication": "double",
        "tabular": "string",
        "loss": "double",
        "loss_prefix": "double",
        "loss_suffix": "double",
        "perplexity": "double",
        "bits": "double",
        "zlib_ratio": "double",
        "min_k": "double",
        "min_k_plus_plus": "double",
        "loss_relative": "double",
        "extractable": "bool",
        "extraction_strength": "double",
        "pz_log": "double",
        "extracted_within": "double",
        "queries_log": "double",
        "biderman": "double",
        "edit_distance": "double",
        "bleu": "double",
        "risk_input_low": "double",
        "risk_input": "double",
        "risk_input_high": "double",
        "risk_deduplicated_low": "double",
        "risk_deduplicated": "double",
        "risk_deduplicated_high": "double",
        "risk_low": "double",
        "risk": "double",
        "risk_high": "double",
        "memorized": "double",
        "predictable": "double",
        "category": "string",
        "action": "string",
        "reason": "string",
    },
    "entities": {
        "doc": "int64",
        "start": "int64",
        "end": "int64",
        "type": "string",
        "tokens": "int64",
        "contexts": "int64",
        "log_probability": "double",
        "log_prior": "double",
        "log_ratio": "double",
        "reason": "string",
    },
    "masks": {"doc": "int64", "tokens": "int64", "positions": "list<element: int32>"},
    "contamination": {
        "doc": "int64",
        "number": "int64",
        "set": "string",
        "item": "string",
        "start": "int64",
        "end": "int64",
        "words": "int64",
        "item_start": "int64",
        "contaminated": "bool",
        "overlap": "double",
        "action": "string",
    },
    "evaluation_items": {
        "doc": "int64",
        "number": "int64",
        "set": "string",
        "item": "string",
        "words": "int64",
        "ngram": "int64",
        "template": "int64",
        "documents": "int64",
        "longest": "int64",
        "overlap": "double",
        "overlap_long": "double",
        "most": "double",
        "contaminated": "bool",
    },
    "languages": {"doc": "int64", "language": "string", "letters": "int64"},
    "scripts": {"doc": "int64", "number": "int64", "script": "string", "letters": "int64"},
    "rejects": {"doc": "int64", "shard": "string", "row": "int64", "reason": "string"},
}

NULLABLE = {
    "duplicates": {"twin", "similarity"},
    "findings": {"surrogate_fingerprint"},
    "scores": set(TABLES["scores"]).difference(
        ("doc", "start", "end", "prefix_tokens", "suffix_tokens", "sampled"),
        ("copies_input", "copies", "action"),
    ),
    "entities": {"log_probability", "log_prior", "log_ratio", "reason"},
}
"""Columns of tables that may hold nulls."""

ACTIONS = ("keep", "cut", "remove", "mask", "placeholder", "hash", "surrogate")

TORN = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
"""What unpacking raises where compressed data is damaged: the run rejects the row at that place."""

DAMAGE = (*TORN, OSError, ValueError, RecursionError, pa.ArrowException)
"""What reading a damaged or missing file can raise."""


def table_path(name: str, number: int) -> str:
    return f"tables/{name}/{number:05d}.parquet"
