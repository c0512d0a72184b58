"""The input, found and pinned: shards, cuts (units of work) and slices (units of commit)."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import xxhash

from unrote.corpus.errors import InputChanged, InputError, StorageError
from unrote.corpus.kernel import inlined, kernel, load64
from unrote.corpus.pulse import Stopped
from unrote.corpus.schema import MAX_SHARDS, doc_key
from unrote.corpus.storage import is_remote, open_stored, pieces, storage
from unrote.corpus.text import bytes_view, zero_bytes

CUT_BYTES = 8 << 20
"""A cut of a plain JSONL or Parquet shard has about so many bytes. A constant of the format."""

SLICE_BYTES = 256 << 20
"""A slice has at most so many stored bytes, or is one shard. A constant of the format."""

BOM = b"\xef\xbb\xbf"

Format = Literal["jsonl", "parquet", "txt"]
Compression = Literal["", "gz", "zst"]

KINDS: dict[str, tuple[Format, Compression]] = {
    ".jsonl": ("jsonl", ""),
    ".jsonl.gz": ("jsonl", "gz"),
    ".jsonl.zst": ("jsonl", "zst"),
    ".parquet": ("parquet", ""),
    ".txt": ("txt", ""),
}


@dataclass(frozen=True)
class Shard:
    """A file of the input. `size` and `checksum` (xxh3_128, hex) are of the stored bytes."""

    number: int
    name: str
    url: str
    format: Format
    compression: Compression
    size: int
    checksum: str
    source: str


@dataclass(frozen=True)
class Cut:
    """Rows of one shard, from row `row` on: the unit of work.

    `start` and `end` are bytes of a plain JSONL shard, row groups of a Parquet shard, and 0 and the
    size of any other.
    """

    shard: int
    start: int
    end: int
    row: int


@dataclass(frozen=True)
class Slice:
    """The unit of commit: cuts in the order of their rows."""

    number: int
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Corpus:
    """A pinned input. Shards, slices and the cuts within them are in `doc` order."""

    shards: tuple[Shard, ...]
    slices: tuple[Slice, ...]

    @property
    def input_bytes(self) -> int:
        """Stored bytes of all shards."""
        return sum(shard.size for shard in self.shards)

    def slice_of(self, docs: np.ndarray) -> np.ndarray:
        """The number (int64) of the slice in which each of `docs` (int64 keys) lies."""
        firsts = [doc_key(part.cuts[0].shard, part.cuts[0].row) for part in self.slices]
        # A slice without rows has its successor's first key: the last of equals is the right one.
        places = np.searchsorted(np.array(firsts, dtype=np.int64), docs, side="right")
        return places.astype(np.int64) - 1

    def to_json(self) -> dict[str, Any]:
        """The "input" object of manifest.json (docs/architecture.md)."""
        return {
            "shards": [asdict(shard) for shard in self.shards],
            "slices": [
                {"number": part.number, "cuts": [asdict(cut) for cut in part.cuts]}
                for part in self.slices
            ],
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "Corpus":
        """The corpus that `to_json` made `tree` from. Raises InputError for any other tree."""
        try:
            shards = tuple(Shard(**shard) for shard in tree["shards"])
            slices = tuple(
                Slice(part["number"], tuple(Cut(**cut) for cut in part["cuts"]))
                for part in tree["slices"]
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                f"the manifest's input is malformed: {error}. Start the run in a new folder."
            ) from None
        return cls(shards, slices)


# Finding


@dataclass(frozen=True)
class _File:
    """A file that was found: where, and below which folder of the input."""

    url: str
    root: str
    size: int

    @property
    def name(self) -> str:
        return self.url[len(self.root) :].lstrip("/")


def find(inputs: Sequence[str | os.PathLike[str]]) -> list[Shard]:
    """The shards of files, folders, globs and fsspec URLs, sorted by name, not yet pinned.

    Folders are searched to the bottom; what starts with a dot or an underscore is skipped. A shard
    is named by its path below the folder that was given, or below the fixed part of a glob, or by
    its base name; where two would share a name, all are named below the inputs' common folder.
    `source` is the first folder of the name, else the name of the folder the shard lies in.
    Checksums are empty; `pin` fills them in.
    Raises InputError: nothing found, an unknown kind of file, a file given twice, equal names.
    """
    if not inputs:
        raise InputError("no input was given. Name at least one file, folder, glob or URL.")
    files = [file for given in inputs for file in _files(os.fspath(given))]
    _refuse_repeats(files)
    if len({file.name for file in files}) < len(files):
        files = _below_common_folder(files)
    if len(files) >= MAX_SHARDS:
        raise InputError(f"{len(files)} shards: at most {MAX_SHARDS - 1}. Merge small files.")
    return [_shard(number, file) for number, file in enumerate(sorted(files, key=_name))]


def _name(file: _File) -> str:
    return file.name


def _shard(number: int, file: _File) -> Shard:
    kind = kind_of(file.url)
    assert kind is not None
    folder, slash, _ = file.name.partition("/")
    source = folder if slash else file.url.rpartition("/")[0].rpartition("/")[2]
    return Shard(number, file.name, file.url, *kind, size=file.size, checksum="", source=source)


def kind_of(name: str) -> tuple[Format, Compression] | None:
    """Format and compression that a file's name tells, None if it tells none we read."""
    return next((kind for end, kind in KINDS.items() if name.lower().endswith(end)), None)


def _files(given: str) -> list[_File]:
    """The files of one input."""
    filesystem, path = _filesystem(given)
    try:
        if filesystem.isfile(path):
            root, found = path.rpartition("/")[0], {path: filesystem.info(path)}
        elif filesystem.isdir(path):
            root, found = path, _below(filesystem, path)
        else:
            root, found = _matches(filesystem, path)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise StorageError(
            f"cannot list {given}: {error.strerror or error}{where}. Check address and permissions."
        ) from error
    direct = list(found) == [path]
    kept = {place: info for place, info in found.items() if direct or not _hidden(place, root)}
    if not kept:
        raise InputError(
            f"no files in {given}. Give files, folders or globs of {_allowed()}; names that start "
            "with '.' or '_' are skipped."
        )
    unknown = sorted(place for place, info in kept.items() if not _is_shard(place, info))
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise InputError(
            f"unknown kind of file: {', '.join(unknown[:5])}{more}. Allowed are "
            f"{_allowed()}, regular files with names in UTF-8. "
            "Move other files away, or name the input with a glob such as 'folder/**/*.jsonl'."
        )
    local = not is_remote(given)
    prefix = "" if local else filesystem.unstrip_protocol(path)[: -len(path)]
    return [
        _File(prefix + place, prefix + root, int(info["size"] or 0)) for place, info in kept.items()
    ]


def _filesystem(given: str) -> tuple[Any, str]:
    """The filesystem that an input lies on, and its path there."""
    import fsspec  # noqa: PLC0415

    try:
        filesystem, path = fsspec.core.url_to_fs(given)
    except (ValueError, ImportError) as error:
        raise InputError(
            f"cannot open {given}: {error}. Give a path or the URL of a filesystem that fsspec "
            "knows, and install the package that it names."
        ) from None
    return filesystem, path.rstrip("/") or "/"


def _below(filesystem: Any, folder: str) -> dict[str, Any]:
    """All files below a folder. Raises OSError where a folder cannot be listed."""
    if "file" in filesystem.protocol:  # ("file", "local")
        # fsspec leaves out what it may not list; rows must not be lost without a word.
        for _, folders, _ in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if name[0] not in "._"]
    found: dict[str, Any] = filesystem.find(folder, detail=True)
    return found


def _raise(error: OSError) -> None:
    raise error


def _is_shard(place: str, info: dict[str, Any]) -> bool:
    """Whether we read what lies there: no pipe or device, and a name that a table can hold."""
    try:
        place.encode()
    except UnicodeEncodeError:
        return False
    regular = info.get("type", "file") == "file" or bool(info.get("islink"))
    return regular and kind_of(place) is not None


def _matches(filesystem: Any, pattern: str) -> tuple[str, dict[str, Any]]:
    """The fixed part of a glob, and the files that match it or lie in folders that match."""
    parts = pattern.split("/")
    magic = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), None)
    if magic is None:
        what = "is no regular file" if filesystem.exists(pattern) else "does not exist"
        raise InputError(f"{pattern} {what}. Give a file, a folder, a glob or a URL.")
    found: dict[str, Any] = {}
    for place, info in filesystem.glob(pattern, detail=True).items():
        if info["type"] == "directory":
            found.update(_below(filesystem, place))
        else:
            found[place] = info
    return "/".join(parts[:magic]), found


def _hidden(place: str, root: str) -> bool:
    return any(part[:1] in (".", "_") for part in place[len(root) :].lstrip("/").split("/"))


def _allowed() -> str:
    return ", ".join(KINDS)


def _refuse_repeats(files: list[_File]) -> None:
    counts = Counter(
        file.url if is_remote(file.url) else os.path.realpath(file.url) for file in files
    )
    twice = sorted(url for url, count in counts.items() if count > 1)
    if twice:
        raise InputError(f"given more than once: {', '.join(twice[:5])}. Name every file once.")


def _below_common_folder(files: list[_File]) -> list[_File]:
    """All files named below the deepest folder that holds every input."""
    roots = [file.root.split("/") for file in files]
    shared = 0
    while all(len(root) > shared and root[shared] == roots[0][shared] for root in roots):
        shared += 1
    common = "/".join(roots[0][:shared])
    files = [replace(file, root=common) for file in files]
    counts = Counter(file.name for file in files)
    twice = [name for name, count in counts.items() if count > 1]
    if shared == 0 or twice:
        names = ", ".join(sorted(twice or counts)[:5])
        raise InputError(
            f"inputs have the same names and no common folder: {names}. Rename files or folders, "
            "or give the folder above them."
        )
    return files


# Pinning


def pin(
    inputs: Sequence[str | os.PathLike[str]],
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Corpus:
    """Find the shards of `inputs` and pin them: `find`, then `pin_shards`."""
    return pin_shards(find(inputs), workers, progress)


def pin_shards(
    shards: Sequence[Shard], workers: int = 1, progress: Callable[[int], None] | None = None
) -> Corpus:
    """Read each shard that `find` found once, and lay down checksums, cuts and slices.

    `workers` shards are read at a time. `progress` is called with numbers of bytes that were read
    since, from any thread but never from two at once.
    Raises InputError (a file that is not Parquet), StorageError.
    """
    lock, ended = threading.Lock(), threading.Event()

    def report(count: int) -> None:
        if ended.is_set():
            raise Stopped
        if progress is not None:
            with lock:
                progress(count)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            return corpus_of(list(pool.map(lambda shard: pin_shard(shard, report), shards)))
        except BaseException:
            ended.set()  # or the pool would read the others to their end
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def corpus_of(pinned: Sequence[tuple[Shard, list[Cut]]]) -> Corpus:
    """The corpus of shards that `pin_shard` gave, in their order."""
    return Corpus(tuple(shard for shard, _ in pinned), tuple(_slices(pinned)))


def marks(shards: Sequence[Shard]) -> dict[str, tuple[int, int]]:
    """Size and time of the last change (ns) of each local shard, by URL."""
    found = {}
    for shard in shards:
        if not is_remote(shard.url):
            with storage(shard.url, "read"):
                status = os.stat(shard.url)
            found[shard.url] = (status.st_size, status.st_mtime_ns)
    return found


def untouched(marked: Mapping[str, tuple[int, int]]) -> None:
    """Raises InputChanged where a shard was written to since `marks`. Reads no data."""
    for url, then in marked.items():
        try:
            status = os.stat(url)
            now = (status.st_size, status.st_mtime_ns)
        except OSError:
            now = None
        if now != then:
            raise InputChanged(
                f"{url} {'was changed' if now else 'went away'} while the run was reading it. "
                "Bring the file back as it was and run the same command again, or start over with "
                "--fresh."
            )


def unchanged(corpus: Corpus) -> None:
    """Raises InputChanged where a shard is missing or its size is another. Reads no data."""
    for shard in corpus.shards:
        size = _size(shard.url)
        if size != shard.size:
            now = "is missing" if size is None else f"has {size} bytes"
            raise InputChanged(
                f"{shard.url} {now}; it had {shard.size} bytes when the run was pinned. Bring the "
                "file back, or start a new run in another folder."
            )


def _size(url: str) -> int | None:
    try:
        if not is_remote(url):
            return os.stat(url).st_size
        import fsspec  # noqa: PLC0415

        filesystem, path = fsspec.core.url_to_fs(url)
        return int(filesystem.info(path)["size"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot look at {url}: {error.strerror or error}.") from error


def pin_shard(
    shard: Shard, progress: Callable[[int], None] = lambda _: None
) -> tuple[Shard, list[Cut]]:
    """The shard with size and checksum, and its cuts. `progress` is told how much was read since.

    Raises InputError (a file that is not Parquet), StorageError.
    """
    checksum = xxhash.xxh3_128()
    plain = shard.format == "jsonl" and not shard.compression
    line_cuts = _LineCuts(shard.number)
    size = 0
    with storage(shard.url, "read"), open_stored(shard.url) as file:
        for piece in pieces(file, 1 << 62):
            checksum.update(piece)
            if plain:
                line_cuts.add(bytes_view(piece), size)
            size += len(piece)
            progress(len(piece))
    if plain:
        cuts = line_cuts.all(size)
    elif shard.format == "parquet":
        cuts = _parquet_cuts(shard)
    else:
        cuts = [Cut(shard.number, 0, size, 0)]
    return replace(shard, size=size, checksum=checksum.hexdigest()), cuts


class _LineCuts:
    """Where to cut a JSONL file that comes in pieces: after the first newline from CUT_BYTES on."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._places: list[tuple[int, int]] = [(0, 0)]
        self._rows = 0
        self._in_row = False

    def add(self, data: np.ndarray, offset: int) -> None:
        """`data` is the piece of the file that starts at byte `offset`."""
        skip = len(BOM) if offset == 0 and data[: len(BOM)].tobytes() == BOM else 0
        at = skip
        while True:
            goal = self._places[-1][0] + CUT_BYTES - 1 - offset
            at, self._rows, self._in_row = count_rows(data, at, goal, self._rows, self._in_row)
            if at < 0:
                return
            self._places.append((offset + at, self._rows))

    def all(self, size: int) -> list[Cut]:
        """The cuts of the whole file of `size` bytes; at least one."""
        places = self._places
        if len(places) > 1 and places[-1][0] == size:
            places.pop()
        ends = [start for start, _ in places[1:]] + [size]
        return [
            Cut(self._shard, start, end, row)
            for (start, row), end in zip(places, ends, strict=True)
        ]


_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)


@kernel
def count_rows(
    data: np.ndarray, at: int, goal: int, rows: int, in_row: bool
) -> tuple[int, int, bool]:
    """Count rows (lines that are not blank) up to the first newline at or behind data[goal].

    `in_row` says whether the line that `at` is in was counted already. Returns the place after that
    newline, -1 where there is none in `data`; the rows; and whether the last line was counted.
    """
    size = len(data)
    while at < size:
        if not in_row:
            at = skip_space(data, at, size)
            if at == size:
                break
            if data[at] != 0x0A:
                in_row = True
                rows += 1
        at = newline(data, at, size)
        if at == size:
            break
        in_row = False
        at += 1
        if at > goal:
            return at, rows, in_row
    return -1, rows, in_row


@inlined
def skip_space(data: np.ndarray, at: int, end: int) -> int:
    """The place of the first byte in data[at:end] that is no JSON white space within a line."""
    while at < end and (data[at] == 0x20 or data[at] == 0x09 or data[at] == 0x0D):
        at += 1
    return at


@kernel
def newline(data: np.ndarray, at: int, end: int) -> int:
    """The place of the first newline in data[at:end], `end` if there is none."""
    while at + 32 <= end:
        found = (
            zero_bytes(load64(data, at) ^ _NEWLINES)
            | zero_bytes(load64(data, at + 8) ^ _NEWLINES)
            | zero_bytes(load64(data, at + 16) ^ _NEWLINES)
            | zero_bytes(load64(data, at + 24) ^ _NEWLINES)
        )
        if found != 0:
            break
        at += 32
    while at < end and data[at] != 0x0A:
        at += 1
    return at


def _parquet_cuts(shard: Shard) -> list[Cut]:
    """Row groups of about CUT_BYTES together."""
    from unrote.corpus.parquet import open_parquet  # noqa: PLC0415  that module reads shards

    cuts: list[Cut] = []
    with open_parquet(shard) as file:
        metadata = file.metadata
        start = row = first_row = size = 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            size += group.total_byte_size
            row += group.num_rows
            if size >= CUT_BYTES:
                cuts.append(Cut(shard.number, start, number + 1, first_row))
                start, first_row, size = number + 1, row, 0
        if start < metadata.num_row_groups or not cuts:
            cuts.append(Cut(shard.number, start, metadata.num_row_groups, first_row))
    return cuts


def _slices(pinned: Sequence[tuple[Shard, list[Cut]]]) -> Iterator[Slice]:
    """Greedy: a slice is closed when what comes next would make it larger than SLICE_BYTES."""
    number = size = 0
    cuts: list[Cut] = []
    for shard, own in pinned:
        plain = shard.format == "jsonl" and not shard.compression
        parts = [([cut], cut.end - cut.start) for cut in own] if plain else [(own, shard.size)]
        for part, weight in parts:
            if cuts and size + weight > SLICE_BYTES:
                yield Slice(number, tuple(cuts))
                number, size, cuts = number + 1, 0, []
            cuts.extend(part)
            size += weight
    if cuts:
        yield Slice(number, tuple(cuts))
