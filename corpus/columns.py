"""Which fields of text a corpus has, as its first rows tell."""

from unrote.corpus.errors import InputError
from unrote.corpus.formats import format_of
from unrote.corpus.rows import Fields
from unrote.corpus.shard import Corpus, Cut

SHARDS = 100
"""The rows of so many shards are looked at, of each the first."""


def text_columns(corpus: Corpus) -> list[str]:
    """The names of the fields that hold a string in the first rows of the first shards, sorted.

    Objects and lists are named, too: what is in them is not looked at. A text file has none.
    Raises StorageError.
    """
    found: set[str] = set()
    firsts = _first_cuts(corpus)
    for shard in corpus.shards[:SHARDS]:
        if shard.number in firsts:
            found |= format_of(shard).text_columns(shard, firsts[shard.number])
    return sorted(found)


def refuse_columns(corpus: Corpus, fields: Fields) -> None:
    """Raise InputError where a shard does not hold `fields` as they can be read and scanned.

    Of a Parquet shard its schema says so, of JSON lines the first rows: in a named column is text,
    or nothing. A later row that holds something else is a reject (corpus.read). A path to a value
    within another field is no field, and nothing would be scanned. Raises StorageError.
    """
    _refuse_paths(corpus, fields)
    firsts = _first_cuts(corpus) if fields.columns else {}
    for shard in corpus.shards:
        first = firsts.get(shard.number) if shard.number < SHARDS else None
        format_of(shard).check(shard, fields, first)


def _refuse_paths(corpus: Corpus, fields: Fields) -> None:
    paths = [name for name in fields.columns if "." in name or "[]" in name]
    if not paths:
        return
    there = text_columns(corpus)
    for name in paths:
        if name not in there:
            raise InputError(
                f"pii.columns names {name!r}: no field has that name in the first rows, and what "
                "lies within a field cannot be scanned. Fields with text: "
                f"{', '.join(there) or 'none'}. Put the value into a field of its own, or leave "
                "the name out."
            )


def _first_cuts(corpus: Corpus) -> dict[int, Cut]:
    return {cut.shard: cut for part in reversed(corpus.slices) for cut in reversed(part.cuts)}
