"""Evaluation sets: files like any input, whose rows are the items that a corpus is held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
import pyarrow as pa
import xxhash

from unrote.corpus.errors import InputChanged, InputError
from unrote.corpus.finding import find
from unrote.corpus.pinning import pin_shards, stat_snapshot
from unrote.corpus.read import read_cut
from unrote.corpus.rows import Fields
from unrote.corpus.shard import Corpus, Shard
from unrote.pipelines.config import EvaluationSet, Settings


@dataclass(frozen=True)
class Items:
    """The items of a set: their names (ids, or file and row) and texts."""

    set: str
    names: pa.ChunkedArray
    texts: pa.ChunkedArray


def with_digests(settings: Settings) -> Settings:
    """The settings with the digest of each evaluation set's content in them, so that a run with
    another content is another run.

    Raises InputError where a set cannot be found, InputChanged where it is not the one that the
    settings ask for.
    """
    sets = settings.contamination.sets
    if not sets:
        return settings
    known = [one.model_copy(update={"digest": _digest(one, _pinned(one))}) for one in sets]
    ours = settings.contamination.model_copy(update={"sets": known})
    return settings.model_copy(update={"contamination": ours})


def items_of(sets: Sequence[EvaluationSet]) -> Iterator[Items]:
    """The items of each set. Raises InputError for a row that has none, InputChanged where a set
    is not what it was when the run was begun.
    """
    for one in sets:
        corpus = _pinned(one)
        _digest(one, corpus)
        names, texts = [], []
        fields = Fields(text=one.paths, id=one.id)
        for cut in (cut for part in corpus.slices for cut in part.cuts):
            for tag, batch in read_cut(corpus, cut, fields, "records"):
                if tag == "rejects":
                    row = batch.slice(0, 1).to_pylist()[0]
                    raise InputError(
                        f"the evaluation set {one.label}: {row['shard']}, row {row['row']}: "
                        f"{row['reason']}. Name the field with --against FILE#FIELD or "
                        "contamination.sets, or mend the row: what is not read is not looked for."
                    )
                names.append(batch["id"])
                texts.append(batch["text"])
        if not sum(map(len, names)):
            raise InputError(
                f"the evaluation set {one.label} has no item in {one.path}. Name another file, or "
                "leave it out."
            )
        chunks = (pa.chunked_array(parts, pa.string()) for parts in (names, texts))
        yield Items(one.label, *chunks)


def _pinned(one: EvaluationSet) -> Corpus:
    """The set's files, read; once for as long as no size or time of them says that they changed."""
    shards = tuple(find([one.path]))
    known = tuple(stat_snapshot(shards).items())
    return _pinned_once(shards, known) if len(known) == len(shards) else pin_shards(shards)


@lru_cache(maxsize=8)
def _pinned_once(shards: tuple[Shard, ...], _: tuple[tuple[str, tuple[int, int]], ...]) -> Corpus:
    return pin_shards(shards)


def _digest(one: EvaluationSet, corpus: Corpus) -> str:
    content = [[shard.name, shard.checksum] for shard in corpus.shards]
    found = str(xxhash.xxh3_128_hexdigest(orjson.dumps(content)))
    if one.digest and one.digest != found:
        raise InputChanged(
            f"the evaluation set {one.label} in {one.path} has the digest {found}, and "
            f"{one.digest} was asked for. Bring back the file, or leave out its digest."
        )
    return found
