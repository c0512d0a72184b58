"""Many small files of JSON lines at once: what is done for each of them costs more than its rows.

Their bytes are put one behind another and scanned in one go, as one file would be. Where anything
but readable rows is in one of them, they are read one by one after all, which says what is wrong.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from unrote.corpus.formats import format_of
from unrote.corpus.formats.jsonl import block_columns, scan_each, stored_lines
from unrote.corpus.json_scanner import END, REPEATED, START
from unrote.corpus.rows import Fields, SelectedRows, View, several_batch
from unrote.corpus.schema import ROW_BITS, Tagged
from unrote.corpus.shard import Corpus, Cut, Shard
from unrote.corpus.text import BOM, bytes_view

SMALL = 16 << 10
"""Bytes of a file that is small."""

TOGETHER = 256 << 10
"""Bytes that are scanned in one go."""

Ints = np.ndarray


@dataclass(frozen=True)
class Together:
    """The bytes of some files, each of which ends with a line break, and their rows.

    begins: int64[n + 1], where each file begins; table: of `json_scanner.scan`; of: int64, the file
    of each row; rows: int64, its number in that.
    """

    shards: Sequence[Shard]
    contents: Sequence[bytes]
    data: np.ndarray
    begins: Ints
    table: np.ndarray
    columns: tuple[pa.Array, list[pa.Array | None], list[pa.Array]]
    of: Ints
    rows: Ints

    def batch(self, docs: Ints | None, view: View) -> pa.RecordBatch:
        """The rows with these keys (ascending), or all."""
        keys = np.array([one.number for one in self.shards])[self.of] << ROW_BITS | self.rows
        text, extra, named = self.columns
        batch = several_batch(self.shards, self.of, keys, self.rows, text, extra, named, view)
        return batch if docs is None else batch.filter(pa.array(np.isin(keys, docs)))

    def released(self) -> Iterator[bytes | None]:
        """What each file is released as, if nothing in it is edited; None where that is to be asked
        of `rewrite`.
        """
        starts, ends = self.table[:, START], self.table[:, END] + 1
        apart = np.zeros(len(starts) + 1, dtype=np.bool_)
        apart[1:-1] = (starts[1:] != ends[:-1]) & (self.of[1:] == self.of[:-1])
        unusual = np.cumsum(apart[:-1] | (self.table[:, REPEATED] != 0))
        unusual = np.append(0, unusual)
        bounds = np.searchsorted(self.of, np.arange(len(self.shards) + 1)).tolist()
        for k, content in enumerate(self.contents):
            first, behind = bounds[k], bounds[k + 1]
            if unusual[behind] != unusual[first]:
                yield None
            elif first == behind:
                yield b""
            else:
                begin = int(self.begins[k])
                yield content[int(starts[first]) - begin : int(ends[behind - 1]) - begin]


def groups_of(corpus: Corpus, cuts: Iterable[Cut]) -> Iterator[list[Cut]]:
    """Cuts in lists: small files of JSON lines that can be read together in one, others alone."""
    group: list[Cut] = []
    size = 0
    for cut in cuts:
        small = _is_small(corpus.shards[cut.shard], cut)
        if group and not (small and size + cut.end <= TOGETHER):
            yield group
            group, size = [], 0
        if small:
            group.append(cut)
            size += cut.end
        else:
            yield [cut]
    if group:
        yield group


def _is_small(shard: Shard, cut: Cut) -> bool:
    whole = cut.start == 0 and cut.end == shard.size <= SMALL
    return whole and format_of(shard).is_lines(shard)


def read_together(corpus: Corpus, cuts: Sequence[Cut], fields: Fields) -> Together | None:
    """The rows of small files; None where something is to be said of one of them, or there is but
    one file. Raises StorageError.
    """
    if len(cuts) < 2 or fields.max_document < SMALL:
        return None
    shards = [corpus.shards[cut.shard] for cut in cuts]
    contents = [
        b"".join(stored_lines(shard, cut, fields.max_expansion))
        for shard, cut in zip(shards, cuts, strict=True)
    ]
    if any(content.startswith(BOM) for content in contents):
        return None
    lines = [one if one.endswith(b"\n") else one + b"\n" for one in contents]
    begins = np.cumsum([0, *map(len, lines)])
    data = bytes_view(b"".join(lines))
    everything = SelectedRows(shards[0], None, 0)
    ((_, table, reasons, _),) = scan_each([data], False, 0, fields, "records", everything)
    columns = block_columns(data, table, reasons, fields)
    if columns is None:
        return None
    of = np.searchsorted(begins, table[:, START], side="right") - 1
    rows = np.arange(len(of)) - np.searchsorted(of, of)
    return Together(shards, contents, data, begins, table, columns, of, rows)


def read_small(
    corpus: Corpus, cuts: Sequence[Cut], fields: Fields, view: View, docs: Ints | None
) -> Tagged | None:
    """As `read.read_cut` of each, or None: see `read_together`."""
    if docs is not None:
        keys = np.array([cut.shard for cut in cuts]) << ROW_BITS
        low, high = np.searchsorted(docs, (keys, keys + (1 << ROW_BITS)))
        cuts = [cut for cut, some in zip(cuts, (low < high).tolist(), strict=True) if some]
        if not cuts:
            return iter(())
    found = read_together(corpus, cuts, fields)
    return None if found is None else iter([("text", found.batch(docs, view))])
