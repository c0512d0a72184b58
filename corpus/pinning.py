"""The input, pinned: each shard is read once for its checksum, and cut into units of work."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import xxhash

from unrote.corpus.errors import InputChanged, StorageError
from unrote.corpus.finding import find
from unrote.corpus.formats import format_of, recognised
from unrote.corpus.formats.sniffing import HEAD
from unrote.corpus.pulse import Stopped
from unrote.corpus.shard import Corpus, Cut, Shard, Slice
from unrote.corpus.storage import chunks, for_each, is_remote, open_stored, storage

CUT_BYTES = 8 << 20
"""A cut has about so many bytes, where a shard can be cut. A constant of the manifest."""

SLICE_BYTES = 256 << 20
"""A slice has at most so many stored bytes, or is one shard. A constant of the manifest."""


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


def stat_snapshot(shards: Sequence[Shard]) -> dict[str, tuple[int, int]]:
    """Size and modification time (ns) of each local shard, by URL."""
    found = {}
    for shard in shards:
        if not is_remote(shard.url):
            with storage(shard.url, "read"):
                status = os.stat(shard.url)
            found[shard.url] = (status.st_size, status.st_mtime_ns)
    return found


def check_unmodified(snapshot: Mapping[str, tuple[int, int]]) -> None:
    """Raises InputChanged where a shard was written to since `stat_snapshot`. Reads no data."""
    for url, then in snapshot.items():
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


def check_sizes(corpus: Corpus) -> None:
    """Raises InputChanged where a shard is missing or its size is another. Reads no data."""

    def check(shard: Shard) -> None:
        size = _size(shard.url)
        if size != shard.size:
            now = "is missing" if size is None else f"has {size} bytes"
            raise InputChanged(
                f"{shard.url} {now}; it had {shard.size} bytes when the run was pinned. Bring the "
                "file back, or start a new run in another folder."
            )

    for_each(check, corpus.shards)


def _size(url: str) -> int | None:
    try:
        if not is_remote(url):
            return os.stat(url).st_size
        from unrote.corpus.stores import store_of  # noqa: PLC0415 - imports fsspec

        store, path = store_of(url)
        return int(store.info(path)["size"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot look at {url}: {error.strerror or error}.") from error


def pin_shard(
    shard: Shard, progress: Callable[[int], None] = lambda _: None
) -> tuple[Shard, list[Cut]]:
    """The shard with size and checksum, and its cuts. `progress` is called with bytes read since.

    Raises InputError (a file that is not what its name says and cannot be read), StorageError.
    """
    checksum, size = xxhash.xxh3_128(), 0
    with storage(shard.url, "read"), open_stored(shard.url) as file:
        etag = getattr(file, "etag", "")
        stored = chunks(file, 1 << 62)
        first: list[bytes] = []
        while sum(map(len, first)) < HEAD and (chunk := next(stored, b"")):
            first.append(chunk)
        shard = recognised(shard, b"".join(first))
        cutter = format_of(shard).cutter(shard, CUT_BYTES)
        for chunk in itertools.chain(first, stored):
            checksum.update(chunk)
            cutter.add(chunk, size)
            size += len(chunk)
            progress(len(chunk))
    pinned = replace(shard, size=size, checksum=checksum.hexdigest(), etag=etag)
    return pinned, cutter.cuts(size)


def _slices(pinned: Sequence[tuple[Shard, list[Cut]]]) -> Iterator[Slice]:
    """Greedy: a slice is closed when what comes next would make it larger than SLICE_BYTES."""
    number = size = 0
    cuts: list[Cut] = []
    for shard, own in pinned:
        if (known := format_of(shard)).splits(shard):
            parts = [([cut], known.stored_bytes(shard, cut)) for cut in own]
        else:
            parts = [(own, shard.size)]
        for part, weight in parts:
            if cuts and size + weight > SLICE_BYTES:
                yield Slice(number, tuple(cuts))
                number, size, cuts = number + 1, 0, []
            cuts.extend(part)
            size += weight
    if cuts:
        yield Slice(number, tuple(cuts))
