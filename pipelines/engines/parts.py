"""The cleaned corpus in parts: what is rewritten on its own, and how parts become a shard."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import xxhash

from unrote.corpus.formats import format_of
from unrote.corpus.formats.small_lines import groups_of
from unrote.corpus.release import rewrite, rewrite_unedited
from unrote.corpus.rows import Fields
from unrote.corpus.schema import doc_key
from unrote.corpus.shard import Corpus, Cut
from unrote.corpus.storage import chunks, storage
from unrote.pipelines.commits import DataFile
from unrote.pipelines.engines.base import Workspace
from unrote.pipelines.engines.slices import Task
from unrote.pipelines.storage import LocalPath, Location, make_folder, move, remove, staged

COPY_BYTES = 4 << 20

Stored = tuple[int, str]
"""Bytes of a file, and its digest."""


@dataclass(frozen=True)
class Part:
    """Cuts of one shard that are rewritten together: one of a shard that splits, else all.

    Their documents are first <= doc < end, their edits come from tasks first_task … last_task.
    """

    name: str
    cuts: tuple[Cut, ...]
    first: int
    end: int
    first_task: int
    last_task: int
    bytes: int


def parts_of(corpus: Corpus, tasks: Sequence[Task]) -> Iterator[Part]:
    """The parts of the whole corpus, in the order of their documents."""
    cuts = [(cut, task.number) for task in tasks for cut in task.cuts]
    groups: list[list[tuple[Cut, int]]] = []
    for cut, task in cuts:
        shard = corpus.shards[cut.shard]
        if groups and groups[-1][0][0].shard == cut.shard and not format_of(shard).splits(shard):
            groups[-1].append((cut, task))
        else:
            groups.append([(cut, task)])
    firsts = [doc_key(group[0][0].shard, group[0][0].row) for group in groups]
    ends = [*firsts[1:], np.iinfo(np.int64).max]
    for number, (group, first, end) in enumerate(zip(groups, firsts, ends, strict=True)):
        last_shard = group[0][0].shard
        stop = min(int(end), doc_key(last_shard + 1, 0))
        size = sum(cut.end - cut.start for cut, _ in group)
        yield Part(
            f"{number:08d}",
            tuple(cut for cut, _ in group),
            first,
            stop,
            group[0][1],
            group[-1][1],
            size,
        )


def parts_together(parts: Iterable[Part]) -> list[list[Part]]:
    """Parts in lists: those of one task in one, whose edits are read once; the others alone."""
    groups: list[list[Part]] = []
    for part in parts:
        if groups and groups[-1][-1].last_task == part.first_task == part.last_task:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


class EditsByPart:
    """Edits in `doc` order, handed out part by part: each batch is read once for all of them."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._held: pa.RecordBatch | None = None

    def take(self, part: Part) -> Iterator[pa.RecordBatch]:
        """The rows of a part's documents. Parts are asked for in their order."""
        while (batch := self._held or next(self._batches, None)) is not None:
            docs = batch.column("doc").to_numpy()
            low, high = np.searchsorted(docs, [part.first, part.end])
            self._held = batch.slice(high) if high < len(docs) else None
            if high > low:
                yield batch.slice(low, high - low)
            if self._held is not None:
                return


def write_parts(
    corpus: Corpus,
    parts: Sequence[Part],
    edits: EditsByPart,
    fields: Fields,
    folder: LocalPath,
) -> dict[str, Stored]:
    """Write the parts of a task to `folder`; of those that are known by then, by name, what they
    are as they are stored.
    """
    known: dict[str, Stored] = {}
    by_cut = {part.cuts[0]: part for part in parts}  # a small file is one cut
    for cuts in groups_of(corpus, by_cut):
        contents = rewrite_unedited(corpus, cuts, fields) if len(cuts) > 1 else [None]
        for cut, content in zip(cuts, contents, strict=True):
            part = by_cut[cut]
            rows = list(edits.take(part)) if content is not None else edits.take(part)
            path = folder / part.name
            if content is None or rows:
                rewrite(corpus, part.cuts, fields, rows, path)
                continue
            with storage(path, "write"):
                path.write_bytes(content)
            known[part.name] = len(content), xxhash.xxh3_128_hexdigest(content)
    return known


def assemble(
    corpus: Corpus,
    parts: Sequence[Part],
    folder: LocalPath,
    run: Workspace,
    known: Mapping[str, Stored],
) -> DataFile | None:
    """Put the parts of one shard together in OUT/data; None where nothing is released of it.

    known: of `write_parts`.
    """
    shard = corpus.shards[parts[0].cuts[0].shard]
    if len(parts) == 1 and (stored := known.get(parts[0].name)) is not None:
        target = run.data / shard.name
        with storage(target, "write"):
            _move(folder / parts[0].name, target)
        return DataFile(shard.number, f"data/{shard.name}", *stored)
    written = [folder / part.name for part in parts if (folder / part.name).exists()]
    if not written:
        return None
    target = run.data / shard.name
    digest = xxhash.xxh3_128()
    with storage(target, "write"):
        first, *rest = written
        with first.open("rb+" if rest else "rb") as out:
            size = os.fstat(out.fileno()).st_size
            for piece in chunks(out, size):  # no more than there is: many files are small
                digest.update(piece)
            for part in rest:
                with part.open("rb") as source:
                    for piece in _pieces(source):
                        digest.update(piece)
                        out.write(piece)
            size = out.tell()
        _move(first, target)
        for part in rest:
            remove(part)
    return DataFile(shard.number, f"data/{shard.name}", size, digest.hexdigest())


def _move(path: LocalPath, target: Location) -> None:
    """To OUT, whose folders are made where they are missing."""
    try:
        move(path, target)
    except FileNotFoundError:
        make_folder(target.parent)
        move(path, target)


def joined(
    run: Workspace, number: int, names: Sequence[str], scratch: LocalPath
) -> DataFile | None:
    """Write shard `number` to OUT/data from its parts, which stay; None where there are none.

    scratch: where it is put together if OUT is in a store.
    """
    shard = run.corpus.shards[number]
    parts = [path for name in names if (path := run.state / "parts" / name).exists()]
    if not parts:
        return None
    target = run.data / shard.name
    digest, size = xxhash.xxh3_128(), 0
    with storage(target, "write"):
        make_folder(target.parent)
        with staged(target, scratch) as temporary, temporary.open("wb") as out:
            for part in parts:
                with part.open("rb") as source:
                    for piece in _pieces(source):
                        digest.update(piece)
                        out.write(piece)
                        size += len(piece)
    return DataFile(shard.number, f"data/{shard.name}", size, digest.hexdigest())


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(COPY_BYTES):
        yield piece
