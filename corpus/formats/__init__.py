"""The formats of the input, one module each, and which of them a shard has."""

from dataclasses import replace

from unrote.corpus.errors import InputError
from unrote.corpus.formats.arrow import Arrow
from unrote.corpus.formats.base import Format
from unrote.corpus.formats.csv import Csv, Tsv
from unrote.corpus.formats.json_array import JsonArray, JsonValues
from unrote.corpus.formats.jsonl import JsonLines
from unrote.corpus.formats.parquet import Parquet
from unrote.corpus.formats.sniffing import binary_format, refuse_pointer
from unrote.corpus.formats.text import Text
from unrote.corpus.formats.warc import Warc
from unrote.corpus.shard import Compression, Shard

__all__ = ["Format", "format_of", "kind_of", "recognised", "register", "suffixes"]

_FORMATS: dict[str, Format] = {}


def register(new: Format) -> None:
    """Make a format known. Raises ValueError where its name or one of its suffixes is taken."""
    taken = sorted({*new.suffixes} & {*suffixes()})
    if new.name in _FORMATS or taken:
        what = f"the suffixes {', '.join(taken)}" if taken else f"the name {new.name!r}"
        raise ValueError(f"another format has {what}. Give {type(new).__name__} one of its own.")
    _FORMATS[new.name] = new


def suffixes() -> tuple[str, ...]:
    """The ends of names of files that can be read."""
    return tuple(suffix for known in _FORMATS.values() for suffix in known.suffixes)


def kind_of(name: str) -> tuple[str, Compression] | None:
    """Format and compression that a file's name tells, None if it tells none we read."""
    for known in _FORMATS.values():
        for suffix, compression in known.suffixes.items():
            if name.lower().endswith(suffix):
                return known.name, compression
    return None


def recognised(shard: Shard, stored: bytes) -> Shard:
    """The shard with the format and compression that the start of its file has, `stored`.

    Raises InputError where it is something that cannot be read, and says how it can be made so.
    """
    refuse_pointer(shard, stored)
    if told := binary_format(stored):
        shard = replace(shard, format=told, compression="")
    return format_of(shard).recognised(shard, stored)


def format_of(shard: Shard) -> Format:
    """The format of a shard. Raises InputError where this version does not know it."""
    try:
        return _FORMATS[shard.format]
    except KeyError:
        raise InputError(
            f"{shard.url} has the format {shard.format!r}; known are {', '.join(_FORMATS)}. Use "
            "the version of unrote that began the run, or start a new run in another folder."
        ) from None


for _format in (
    JsonLines(),
    JsonArray(),
    JsonValues(),
    Parquet(),
    Arrow(),
    Csv(),
    Tsv(),
    Text(),
    Warc(),
):
    register(_format)
