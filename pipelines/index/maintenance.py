"""What is done to an index between runs: info, verify, compact, forget."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from unrote.corpus.errors import StorageError, UsageError
from unrote.corpus.normalization import Normalization
from unrote.corpus.schema import TEXT
from unrote.corpus.storage import chunks, open_stored, storage
from unrote.dedup.fingerprint import fingerprints
from unrote.dedup.index import layout
from unrote.dedup.index.files import columns_of, opened
from unrote.dedup.index.layout import File, Index, Keys, Part, path_of
from unrote.dedup.index.lookup import by_fingerprint
from unrote.dedup.index.stages import keyed
from unrote.dedup.minhash import bands_for, sign_texts
from unrote.dedup.repeats import Anchors
from unrote.pipelines.index.added import PART_BYTES, Files, merged_keys
from unrote.pipelines.index.head import Added, Head, write_head
from unrote.pipelines.index.opening import OpenIndex, existing_index

Ints = NDArray[np.int64]
Kind = TypeVar("Kind", Keys, Part)


def info(named: str) -> Head:
    """What an index says of itself. Raises InputError where there is none."""
    with existing_index(named, alone=False) as opened_index:
        return opened_index.head


def described(head: Head) -> Iterator[str]:
    """An index in lines."""
    index = head.index
    kept = sum(part.texts.rows for part in index.parts)
    documents = sum(part.documents.rows for part in index.parts)
    sizes = {
        "keys": {file for one in index.keys for file in one.files},
        "ids": {one.documents for one in index.parts},
        "texts": {one.texts for one in index.parts},
    }
    yield f"{index.folder}: commit {head.number}"
    yield f"documents: {documents:,}, of which {kept:,} with a text that others are compared with"
    for name, files in sizes.items():
        yield f"{name}: {sum(file.bytes for file in files):,} bytes in {len(files):,} files"
    yield f"may not come back: {len(head.listed):,}"
    for name, value in head.rules.items():
        yield f"{name} = {orjson.dumps(value).decode()}"
    yield f"key: {head.key[:8] or 'none'}"
    for number, run in enumerate(head.runs, 1):
        name = run.run[:16] or "(parts of it were forgotten)"
        yield f"run {number}: {run.committed} {name} {run.end - run.first:,} documents, {run.out}"


def compact(named: str) -> tuple[Head, Head]:
    """Merge the files of an index into as few as may be; its head before and after.

    Raises InputError where there is none, OutputError where it is in use.
    """
    with existing_index(named, alone=True) as opened_index:
        head = opened_index.head
        index, files = head.index, Files(opened_index.folder)
        keys = tuple(
            one[0] if len(one) == 1 else merged_keys(index, one, files)
            for one in _groups(index.keys, lambda k: k.end - k.first, layout.MOST)
        )
        parts = tuple(
            one[0] if len(one) == 1 else _merged_parts(index, one, files)
            for one in _groups(index.parts, lambda p: p.texts.bytes, PART_BYTES)
        )
        if (keys, parts) == (index.keys, index.parts):
            return head, head
        after = head.followed_by(index=replace(index, keys=keys, parts=parts))
        _write(opened_index, after)
        return head, after


def _groups(items: Sequence[Kind], size: Callable[[Kind], int], most: int) -> Iterator[list[Kind]]:
    """Neighbours whose sizes add up to `most` at most."""
    held: list[Kind] = []
    for item in items:
        if held and sum(map(size, held)) + size(item) > most:
            yield held
            held = []
        held.append(item)
    if held:
        yield held


def _merged_parts(
    index: Index, parts: Sequence[Part], files: Files, gone: Ints | None = None
) -> Part:
    """Several Parts as one, without the documents `gone` (ascending)."""
    first = parts[0].first
    tables = []
    for kind in ("documents", "texts"):
        schema = layout.DOCUMENTS if kind == "documents" else layout.TEXTS
        batches = [
            _moved(batch.replace_schema_metadata(None), part.first - first, first, gone)
            for part in parts
            for batch in opened(index.folder, getattr(part, kind), schema).batches()
        ]
        tables.append(pa.Table.from_batches(batches, schema))
    return files.part(first, parts[-1].end, *tables)


def _moved(batch: pa.RecordBatch, shift: int, first: int, gone: Ints | None) -> pa.RecordBatch:
    at = (batch["at"].to_numpy() + shift).astype(np.int32)
    batch = batch.set_column(0, layout.TEXTS.field("at"), pa.array(at))
    if gone is None:
        return batch
    return batch.filter(pa.array(~np.isin(at.astype(np.int64) + first, gone)))


@dataclass(frozen=True)
class Deleted:
    """What `forget` took out: documents by number, and the near-duplicates of these, of which the
    index knew by them alone.
    """

    documents: int
    near_duplicates: int
    listed: int


def forget(
    named: str, *, ids: Sequence[str] = (), older_than: str = "", block: bool = False
) -> Deleted:
    """Take documents out of an index: those with some ids, and those that runs before a time added.

    older_than: 90d, 12w, or a date such as 2026-01-31 (UTC). block: put their keyed fingerprints
    on the list of what later runs reject.
    Raises InputError where there is no index, UsageError for an id that is not in it or a time that
    is none; then nothing is taken out.
    """
    before = _time(older_than) if older_than else ""
    with existing_index(named, alone=True) as opened_index:
        head = opened_index.head
        chosen = _chosen(head, ids, before)
        twins = [number for number, twin in _near(head.index) if twin in set(chosen.tolist())]
        gone = np.union1d(chosen, np.array(twins, dtype=np.int64))
        if not len(gone):
            return Deleted(0, 0, 0)
        listed = _listed(head, gone) if block else ()
        files = Files(opened_index.folder)
        after = head.followed_by(
            index=_without(head.index, gone, files),
            runs=tuple(_nameless(one, gone) for one in head.runs),
            listed=tuple(sorted({*head.listed, *listed})),
        )
        _write(opened_index, after)
        return Deleted(len(chosen), len(gone) - len(chosen), len(listed))


def rekey(named: str, key: str) -> tuple[str, str]:
    """Let an index be for runs with another key, of which `key` is the fingerprint, "" for none.

    Nothing in it derives from a key: what is released later has other surrogates than what was.
    Returns the fingerprints of before and now. Raises InputError where there is no index.
    """
    with existing_index(named, alone=True) as opened_index:
        head = opened_index.head
        if head.key != key:
            _write(opened_index, head.followed_by(key=key))
        return head.key, key


def _write(opened_index: OpenIndex, head: Head) -> None:
    opened_index.held.require()
    write_head(opened_index.folder, head)


def _nameless(run: Added, gone: Ints) -> Added:
    """A run without digests of its input, if a document of it is gone."""
    low, high = np.searchsorted(gone, (run.first, run.end))
    return run if low == high else replace(run, run="", input="")


def _time(text: str) -> str:
    """The time before which `text` means, ISO 8601 in UTC. Raises UsageError."""
    if match := re.fullmatch(r"(\d+)([dw])", text):
        days = int(match[1]) * (7 if match[2] == "w" else 1)
        try:
            return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
        except OverflowError:
            pass
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat(timespec="seconds")
    except ValueError:
        raise UsageError(
            f"--older-than {text}: give days or weeks (90d, 12w), or a date (2026-01-31)."
        ) from None


def _chosen(head: Head, ids: Sequence[str], before: str) -> Ints:
    """The numbers of the documents that are meant, ascending."""
    wanted = pa.array(list(ids), pa.string())
    found: dict[str, list[int]] = {one: [] for one in ids}
    numbers: list[Ints] = [np.empty(0, dtype=np.int64)]
    old = [(run.first, run.end) for run in head.runs if before and run.committed < before]
    for part, batch in _documents(head.index):
        number = batch["at"].to_numpy().astype(np.int64) + part.first
        here = pc.is_in(batch["id"], value_set=wanted).to_numpy(zero_copy_only=False)
        for position in np.flatnonzero(here).tolist():
            found[batch["id"][position].as_py()].append(int(number[position]))
        for first, end in old:
            here |= (number >= first) & (number < end)
        numbers.append(number[here])
    if missing := [one for one in ids if not found[one]]:
        raise UsageError(
            f"the index {head.index.folder} has no document with the id {', '.join(missing)}. "
            "Nothing was forgotten. Of an exact copy it has nothing but what its twin left: "
            "`unrote show OUT ID` names that one."
        )
    return np.unique(np.concatenate(numbers))


def _documents(index: Index) -> Iterator[tuple[Part, pa.RecordBatch]]:
    for part in index.parts:
        for batch in opened(index.folder, part.documents, layout.DOCUMENTS).batches():
            yield part, batch


def _near(index: Index) -> Iterator[tuple[int, int]]:
    """(number, number of its twin) of near-duplicates."""
    for part, batch in _documents(index):
        twin = batch["twin"].to_numpy()
        near = twin >= 0
        number = batch["at"].to_numpy().astype(np.int64) + part.first
        yield from zip(number[near].tolist(), twin[near].tolist(), strict=True)


def _listed(head: Head, numbers: Ints) -> tuple[str, ...]:
    """Keyed fingerprints of some documents."""
    key = bytes.fromhex(head.list_key)
    found = []
    for keys in head.index.keys:
        high, low, signed = columns_of(head.index.folder, keys.fingerprints)
        at = np.where(signed < 0, ~signed, signed).astype(np.int64)
        here = np.isin(at + keys.first, numbers)
        pairs = zip(high[here].tolist(), low[here].tolist(), strict=True)
        found += [keyed(key, *pair) for pair in pairs]
    return tuple(found)


def _without(index: Index, gone: Ints, files: Files) -> Index:
    """The index without some documents; files that had nothing of them stay."""

    def touched(one: Keys | Part) -> bool:
        low, high = np.searchsorted(gone, (one.first, one.end))
        return bool(low < high)

    keys = [merged_keys(index, [one], files, gone) if touched(one) else one for one in index.keys]
    parts = [
        _merged_parts(index, [one], files, gone) if touched(one) else one for one in index.parts
    ]
    return replace(
        index,
        keys=tuple(one for one in keys if one.fingerprints.rows),
        parts=tuple(one for one in parts if one.documents.rows),
    )


def verify(named: str) -> list[str]:
    """What is wrong with an index, in lines; [] where nothing is.

    Every file is what its name says; keys are sorted; each fingerprint and each LSH bucket of a
    document that was kept is that of its text, computed anew, and there are no others.
    Raises InputError where there is no index, OutputError where it is in use.
    """
    with existing_index(named, alone=True) as opened_index:
        head = opened_index.head
        damaged = [line for file in head.index.files if (line := _file_problem(head, file))]
        return damaged or list(_problems(head))


def _file_problem(head: Head, file: File) -> str:
    path = path_of(head.index.folder, file)
    digest, size = xxhash.xxh3_128(), 0
    try:
        with storage(path, "read"), open_stored(path) as stored:
            for chunk in chunks(stored, 1 << 62):
                digest.update(chunk)
                size += len(chunk)
    except StorageError:
        return f"{path} is missing, or cannot be read"
    same = (digest.hexdigest(), size) == (file.name, file.bytes)
    return "" if same else f"{path} is not what it was when it was written"


def _problems(head: Head) -> Iterator[str]:
    index = head.index
    kept, near = set[int](), set[int]()
    bands: list[Ints] = []
    for keys in index.keys:
        high, _, signed = columns_of(index.folder, keys.fingerprints)
        if (high[1:] < high[:-1]).any():
            yield f"fingerprints of documents {keys.first} to {keys.end - 1} are not sorted"
        kept.update((signed[signed >= 0].astype(np.int64) + keys.first).tolist())
        near.update((~signed[signed < 0].astype(np.int64) + keys.first).tolist())
        bucket, at = columns_of(index.folder, keys.bands)
        if (bucket[1:] < bucket[:-1]).any():
            yield f"buckets of documents {keys.first} to {keys.end - 1} are not sorted"
        bands.append(np.stack([at.astype(np.int64) + keys.first, bucket], axis=1))
        anchor, _ = columns_of(index.folder, keys.anchors)
        if (anchor[1:] < anchor[:-1]).any():
            yield f"anchors of documents {keys.first} to {keys.end - 1} are not sorted"
    yield from _id_problems(index, kept, near)
    yield from _text_problems(head, kept, bands)


def _id_problems(index: Index, kept: set[int], near: set[int]) -> Iterator[str]:
    known: set[int] = set()
    for part, batch in _documents(index):
        known.update((batch["at"].to_numpy().astype(np.int64) + part.first).tolist())
    twins = dict(_near(index))
    if known != kept | near:
        yield f"{len(known ^ (kept | near))} documents have an id or a fingerprint, and not both"
    if set(twins) != near:
        yield f"{len(set(twins) ^ near)} documents are near-duplicates, and do not look like ones"
    if lost := set(twins.values()) - kept:
        yield f"{len(lost)} twins are not in the index"


def _text_problems(head: Head, kept: set[int], bands: Iterable[Ints]) -> Iterator[str]:
    """Fingerprints and buckets that are not those of the text, or of no text."""
    rules, index = head.rules, head.index
    form = Normalization(*(rules[f"input.{name}"] for name in _FORM))
    signed = rules["dedup.near.enabled"]
    near = {name: rules[f"dedup.near.{name}"] for name in _NEAR} if signed else {}
    cut = bands_for(near["permutations"], near["threshold"], near["max_miss"]) if signed else (0, 0)
    expected, anchors = [], []
    for part in index.parts:
        for batch in opened(index.folder, part.texts, layout.TEXTS).batches():
            number = batch["at"].to_numpy().astype(np.int64) + part.first
            if not kept.issuperset(number.tolist()):
                yield f"documents {part.first} to {part.end - 1} have a text that nothing knows of"
                continue
            texts = form.texts(batch["text"])
            if rules["dedup.passages.enabled"]:
                anchors.append(_anchors_of(number, texts, rules))
            if signed:
                _, buckets, words = sign_texts(
                    texts, near["permutations"], near["ngram"], near["unit"], *cut
                )
                some = words > 0
                pairs = (np.repeat(number[some], cut[0]), buckets[some].ravel())
                expected.append(np.stack(pairs, axis=1))
            keys = fingerprints(
                texts.to_pylist(), normalise=rules["dedup.exact.normalise"], normalization=form
            )
            order = np.lexsort((keys[:, 1], keys[:, 0]))
            asked, found, _ = by_fingerprint(index, keys[order, 0], keys[order, 1])
            if not np.array_equal(number[order][asked], found) or len(asked) < len(number):
                yield f"documents {number[0]} to {number[-1]}: a fingerprint is not of the text"
    if not np.array_equal(_sorted(expected), _sorted(bands)):
        yield "buckets are not those of the texts"
    yield from _anchor_problems(index, anchors)


def _anchors_of(number: Ints, texts: pa.StringArray, rules: Mapping[str, Any]) -> Ints:
    """(document, hash, fingerprint) of each anchor of texts in normal form: int64[n, 3]."""
    stage = Anchors(rules["dedup.passages.min_bytes"], Normalization("none"))
    text = pa.RecordBatch.from_arrays([pa.array(number), texts], schema=TEXT)
    found = [batch for tag, batch in stage._run(iter([("text", text)])) if tag == "anchors"]
    names = ("doc", "hash", "fingerprint")
    columns = (
        [np.concatenate([batch[name].to_numpy() for batch in found]) for name in names]
        if (found)
        else [np.empty(0, dtype=np.int64)] * 3
    )
    return np.stack(columns, axis=1)


def _anchor_problems(index: Index, found: Sequence[Ints]) -> Iterator[str]:
    """Anchors that no text has. (A text may be first with one that the index has not: where the
    document that was first was forgotten.)
    """
    stored = []
    for keys in index.keys:
        anchor, at = columns_of(index.folder, keys.anchors)
        stored.append(np.stack([at.astype(np.int64) + keys.first, anchor], axis=1))
    ours = _sorted([rows[:, :2] for rows in found])
    have = {tuple(row) for row in ours.tolist()}
    if lost := sum(tuple(row) not in have for row in _sorted(stored).tolist()):
        yield f"{lost} anchors are not those of the texts"


_FORM = ("normalization", "drop_ignorable", "unescape_html")
_NEAR = ("permutations", "threshold", "max_miss", "ngram", "unit")


def _sorted(rows: Iterable[Ints]) -> Ints:
    whole = np.concatenate([*rows, np.empty((0, 2), dtype=np.int64)])
    return whole[np.lexsort((whole[:, 1], whole[:, 0]))]
