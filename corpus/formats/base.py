"""What a format is: how its shards are named, cut, read, rewritten and looked at beforehand."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from unrote.corpus.edits import ShardEdits
from unrote.corpus.rows import Fields, SelectedRows, View
from unrote.corpus.schema import Tagged
from unrote.corpus.shard import Compression, Cut, Shard

COMPRESSIONS: Mapping[str, Compression] = {
    "": "",
    ".gz": "gz",
    ".zst": "zst",
    ".xz": "xz",
    ".bz2": "bz2",
}
"""Ends of names of compressed files."""


def with_compressions(*suffixes: str) -> dict[str, Compression]:
    """`suffixes` for files as they are and for compressed ones: what `Format.suffixes` is."""
    return {
        suffix + packed: compression
        for suffix in suffixes
        for packed, compression in COMPRESSIONS.items()
    }


class Cutter:
    """Where a shard may be cut, found while its stored bytes go by. Here: nowhere."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def add(self, chunk: bytes, offset: int) -> None:
        """`chunk` is the part of the file that starts at byte `offset`; none is left out."""

    def cuts(self, size: int) -> list[Cut]:
        """The cuts of the whole file of `size` bytes, in the order of their rows; at least one."""
        return [Cut(self._shard.number, 0, size, 0)]


class Format(ABC):
    """A format of the input. To add one: a module beside this one, and its name in `formats`.

    A format has no state. What is not abstract is as it should be for a format whose shards are
    always read and rewritten whole, and have no field of text but the text.
    """

    name: str
    """As `Shard.format` and the manifest have it."""

    suffixes: Mapping[str, Compression]
    """Ends of file names, in lower case, with the compression that each tells."""

    needs_state: bool = False
    """Whether `datasets` loads shards of it with files that lie beside them (corpus.saved)."""

    def recognised(self, shard: Shard, stored: bytes) -> Shard:  # noqa: ARG002
        """The shard as its first bytes say that it is, whatever its name says; here: as it is.

        `stored` is the start of the file, all of it if that is short. Raises InputError where a
        file cannot be what its name says.
        """
        return shard

    def splits(self, shard: Shard) -> bool:  # noqa: ARG002
        """Whether each cut of the shard can be rewritten on its own.

        What comes out, put one behind another, is then the released shard.
        """
        return False

    def is_lines(self, shard: Shard) -> bool:  # noqa: ARG002
        """Whether the stored bytes are lines of JSON and nothing else, so that those of many small
        files can be read as those of one (corpus.formats.small_lines).
        """
        return False

    def cutter(self, shard: Shard, goal: int) -> Cutter:  # noqa: ARG002
        """What finds the shard's cuts, of about `goal` bytes each."""
        return Cutter(shard)

    def stored_bytes(self, shard: Shard, cut: Cut) -> int:  # noqa: ARG002
        """About how many stored bytes are behind a cut: what reading it is thought to cost."""
        return cut.end - cut.start

    @abstractmethod
    def read(
        self, shard: Shard, cut: Cut, fields: Fields, view: View, selected: SelectedRows
    ) -> Tagged:
        """The rows of a cut, and (for view "records") its rejects; see `read.read_cut`."""

    @abstractmethod
    def rewrite(
        self, shard: Shard, cuts: Sequence[Cut], fields: Fields, edits: ShardEdits, path: Path
    ) -> int:
        """Write the released form of consecutive cuts to `path`; returns the rows written.

        The cuts are all of the shard's, unless it `splits`. See `release.rewrite`.
        """

    def text_columns(self, shard: Shard, first: Cut) -> set[str]:  # noqa: ARG002
        """The fields that hold text, or something that may; `first` is the shard's first cut."""
        return set()

    def check(self, shard: Shard, fields: Fields, first: Cut | None) -> None:  # noqa: B027
        """Raise InputError where the shard does not hold `fields` as they can be read.

        `first` is the shard's first cut if its rows are to be looked at, None if only what says
        how all rows are, such as a schema.
        """
