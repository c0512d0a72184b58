"""Which fields of text a corpus has, as its first rows tell."""

from unrote.corpus.errors import InputError
from unrote.corpus.formats import format_of
from unrote.corpus.paths import FieldPath
from unrote.corpus.rows import Fields
from unrote.corpus.shard import Corpus, Cut, Shard
from unrote.corpus.storage import for_each

SHARDS = 100
"""The rows of so many shards are looked at, of each the first."""


def text_columns(corpus: Corpus) -> list[str]:
    """The paths of the strings in the first rows of the first shards, sorted (corpus.paths).

    A text file has none. Raises StorageError.
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
    or nothing. A later row that holds something else is a reject (corpus.read).
    Raises StorageError.
    """
    _refuse_misread_names(corpus, fields)
    firsts = _first_cuts(corpus) if fields.columns else {}

    def check(shard: Shard) -> None:
        first = firsts.get(shard.number) if shard.number < SHARDS else None
        format_of(shard).check(shard, fields, first)

    for_each(check, corpus.shards)


def _refuse_misread_names(corpus: Corpus, fields: Fields) -> None:
    """Raise InputError for a path that leads nowhere where a field has that very name."""
    deeper = [path for one in fields.selections for path in one.paths if len(path.steps) > 1]
    there = set(text_columns(corpus)) if deeper else set()
    for path in deeper:
        written = ".".join(step or "[]" for step in path.steps).replace(".[]", "[]")
        name = FieldPath((written,))
        if str(path) not in there and str(name) in there:
            raise InputError(
                f"the path '{path}' leads nowhere in the first rows, but a field has that name. "
                f"For the field write '{name}': a point in a name has a backslash before it."
            )


def _first_cuts(corpus: Corpus) -> dict[int, Cut]:
    return {cut.shard: cut for part in reversed(corpus.slices) for cut in reversed(part.cuts)}
