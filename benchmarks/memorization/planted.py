"""The text of the ground-truth experiment: background, targets, and who is planted how often.

Targets are 64-token windows of documents that the default reference model has never read
(memorization.heldout): prose and documentation. Documents, not windows, are dealt to two halves:
half 0 is planted (IN) for even seeds and left out (OUT) for odd ones, half 1 the other way round.
So a fit on one seed has never seen a document that the other seed is tested on.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import zstandard

from benchmarks import debian
from unrote.corpus.tokenizer import own_copy
from unrote.memorization.heldout import is_held_out
from unrote.memorization.windows import Ints

PACKAGES = ("debian-handbook", "git-doc", "postgresql-doc-15", "python3.11-doc")
LENGTH, PREFIX = 64, 32
GRAM = 13
LEAST_SHARE = 0.1
SEED = 20_261_128


@dataclass(frozen=True)
class Plan:
    """How much of what. levels: copies -> targets that are IN, for each seed."""

    levels: dict[int, int] = field(
        default_factory=lambda: {
            1: 40, 2: 40, 4: 40, 8: 150, 12: 150, 16: 150, 24: 150, 32: 150, 48: 40,
        }
    )  # fmt: skip
    background: int = 600_000
    prose: int = 120_000
    licences: int = 180_000
    fuzzy_rates: tuple[float, ...] = (0.1, 0.25, 0.5)
    fuzzy: int = 30
    fuzzy_copies: int = 16
    templates: int = 40
    natural: int = 300
    per_document: int = 60


@dataclass
class Target:
    """A sequence to extract. half: the seeds (by remainder of 2) for which it is IN; level: exact
    copies planted; near: altered copies planted, of which `rate` of the tokens are replaced.
    """

    text: str
    ids: list[int]
    document: str
    source: str
    half: int
    arm: str
    level: int
    near: int = 0
    rate: float = 0.0


@dataclass
class Document:
    name: str
    source: str
    text: str
    family: str = ""
    ids: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def is_english(name: str) -> bool:
    return "/debian-handbook/html/" not in name or "/en-US/" in name


def documents(work: Path, prose: Path) -> Iterator[Document]:
    """Prose and documentation, whole documents as the default model's held-out part is defined."""
    folder = debian.unpack(work, PACKAGES)
    for size, line in debian.documents(folder, PACKAGES):
        row = orjson.loads(line) if size else {}
        if row and is_english(row["id"]):
            yield Document(row["id"], row["source"], row["text"])
    with zstandard.open(prose, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = orjson.loads(line)
            yield Document(row["id"], row["source"], row["text"])


def licences(path: Path) -> list[Document]:
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        rows = [orjson.loads(line) for line in lines]
    return [Document(row["id"], "licence", row["text"], row["family"]) for row in rows]


def encode(found: list[Document], tokenizer: object) -> None:
    """Fills in the tokens of each document."""
    fast = own_copy(tokenizer)
    for at in range(0, len(found), 256):
        part = found[at : at + 256]
        encoded = fast.encode_batch([one.text for one in part], add_special_tokens=False)
        for one, encoding in zip(part, encoded, strict=True):
            one.ids = np.array(encoding.ids, dtype=np.int64)


def gram_hashes(ids: Ints, length: int = GRAM) -> np.ndarray:
    """uint64 of every run of `length` tokens; equal runs have equal ones."""
    if ids.size < length:
        return np.empty(0, dtype=np.uint64)
    value = np.zeros(ids.size - length + 1, dtype=np.uint64)
    for k in range(length):
        value = value * np.uint64(0x9E3779B97F4A7C15) + ids[k : k + value.size].astype(np.uint64)
        value ^= value >> np.uint64(29)
    return value


def background(
    every: list[Document], data: Path, plan: Plan, fast: object, order: random.Random
) -> tuple[list[Document], list[Document]]:
    """What the planted copies lie in, and its licence texts: nothing of it is held out.

    Only as many documents as may be needed go through the tokenizer.
    """
    rest = [one for one in every if not is_held_out(one.text)]
    pools = [
        licences(data / "license-texts.jsonl.zst"),
        [one for one in rest if one.source in PACKAGES],
        [one for one in rest if one.source not in PACKAGES],
    ]
    for pool, most in zip(pools, (450, 800, 120), strict=True):
        order.shuffle(pool)
        del pool[most:]
        encode(pool, fast)
    sizes = (plan.licences, plan.background, plan.prose)
    taken = [within(pool, size, order) for pool, size in zip(pools, sizes, strict=True)]
    found = taken[1] + taken[2] + taken[0]
    for one in found:
        one.text = fast.decode(one.ids.tolist(), skip_special_tokens=False)
    order.shuffle(found)
    return found, taken[0]


def targets(
    held: list[Document],
    known: list[Document],
    plan: Plan,
    fast: object,
    order: random.Random,
) -> list[Target]:
    """Windows of held-out documents that share no 13 tokens with the background or one another."""
    seen = {gram for one in known for gram in gram_hashes(one.ids).tolist()}
    pool, dropped = [], 0
    order.shuffle(held)
    for one in held:
        for target in windows(one, fast, plan.per_document, order):
            grams = gram_hashes(np.array(target.ids, dtype=np.int64)).tolist()
            if seen.isdisjoint(grams):
                seen.update(grams)
                pool.append(target)
            else:
                dropped += 1
    print(f"{len(pool)} windows, {dropped} dropped for 13 tokens that are elsewhere")
    halves(pool, order)
    return assign(pool, plan, order)


def within(pool: list[Document], tokens: int, order: random.Random) -> list[Document]:
    """Documents in a random order up to a number of tokens, none longer than 12,000."""
    shuffled = [one for one in pool if one.ids.size >= 200]
    order.shuffle(shuffled)
    taken, left = [], tokens
    for one in shuffled:
        if left <= 0:
            break
        one.ids = one.ids[:12_000]
        taken.append(one)
        left -= one.ids.size
    return taken


def windows(one: Document, tokenizer: object, most: int, order: random.Random) -> Iterator[Target]:
    """Windows of a document with a gap between them, that come back from text as they went in."""
    starts = list(range(order.randrange(32), one.ids.size - LENGTH + 1, LENGTH + 16))
    order.shuffle(starts)
    for start in starts[:most]:
        ids = one.ids[start : start + LENGTH].tolist()
        text = tokenizer.decode(ids, skip_special_tokens=False)
        if "\ufffd" in text or tokenizer.encode(text, add_special_tokens=False).ids != ids:
            continue
        yield Target(text, ids, one.name, one.source, 0, "", 0)


def halves(found: list[Target], order: random.Random) -> None:
    """Deals documents to two halves: neighbours in size, of one source, to different ones."""
    sizes: dict[tuple[str, str], int] = {}
    for target in found:
        key = (target.source, target.document)
        sizes[key] = sizes.get(key, 0) + 1
    side: dict[str, int] = {}
    held = {0: 0, 1: 0}
    for source in sorted({source for source, _ in sizes}):
        ordered = sorted((k for k in sizes if k[0] == source), key=lambda k: (-sizes[k], k))
        for at in range(0, len(ordered), 2):
            pair = ordered[at : at + 2]
            lighter = 0 if held[0] < held[1] else 1 if held[1] < held[0] else order.randrange(2)
            for index, key in enumerate(pair):  # the larger of two to the lighter half
                side[key[1]] = lighter ^ index
                held[lighter ^ index] += sizes[key]
    for target in found:
        target.half = side[target.document]


def assign(found: list[Target], plan: Plan, order: random.Random) -> list[Target]:
    """Random windows of each half to copy levels and to the arm of altered copies."""
    chosen = []
    for half in (0, 1):
        pool = [target for target in found if target.half == half]
        order.shuffle(pool)
        requested = [("planted", level, 0, 0.0, n) for level, n in plan.levels.items()]
        requested += [("fuzzy", 1, plan.fuzzy_copies, r, plan.fuzzy) for r in plan.fuzzy_rates]
        needed = sum(row[-1] for row in requested)
        if len(pool) < needed:
            raise SystemExit(f"half {half} has {len(pool)} windows, {needed} are needed")
        for arm, level, near, rate, count in requested:
            for _ in range(count):
                target = pool.pop()
                target.arm, target.level, target.near, target.rate = arm, level, near, rate
                chosen.append(target)
    return chosen


def templates(plan: Plan, tokenizer: object, order: random.Random) -> list[Target]:
    """Texts that follow from their beginning: numberings, tables, lists; planted once."""
    names = ["item", "row", "value", "chapter", "x", "line", "node", "Table", "port", "step"]
    joints = [", ", "\n", "; ", " | ", "\n- ", " / "]
    found: list[Target] = []
    while len(found) < 2 * plan.templates:
        name, joint = order.choice(names), order.choice(joints)
        first, by, kind = order.randrange(1, 90), order.randrange(1, 6), order.randrange(3)
        numbers = range(first, first + 200 * by, by)
        if kind == 0:
            text = joint.join(f"{name} {n}" for n in numbers)
        elif kind == 1:
            text = joint.join(str(n) for n in numbers)
        else:
            text = joint.join(f"{name}{n} = {name}{n + by}" for n in numbers)
        ids = tokenizer.encode(text, add_special_tokens=False).ids[:LENGTH]
        text = tokenizer.decode(ids)
        if tokenizer.encode(text, add_special_tokens=False).ids == ids:
            half = len(found) % 2
            found.append(
                Target(text, ids, f"template-{len(found)}", "template", half, "template", 1)
            )
    return found


def natural(
    pool: list[Document], plan: Plan, tokenizer: object, order: random.Random
) -> list[Target]:
    """Windows of the licences in the background, half by family, the often repeated preferred."""
    joined = "\n\n".join(one.text for one in pool)
    found: dict[str, Target] = {}
    for one in pool:
        for target in windows(one, tokenizer, 4, order):
            if target.text not in found:
                target.half = random.Random(one.family).randrange(2)
                target.document = f"licence/{one.family}"
                target.level = joined.count(target.text)
                target.arm = "natural"
                found[target.text] = target
    kept = []
    for half in (0, 1):
        rows = [target for target in found.values() if target.half == half]
        order.shuffle(rows)
        often = [target for target in rows if target.level > 1]
        once = [target for target in rows if target.level == 1]
        kept += (often[: plan.natural * 3 // 4] + once)[: plan.natural]
    return kept


def training_documents(
    background: list[Ints], targets: list[Target], seed: int, unigrams: Ints
) -> list[Ints]:
    """The background with the copies of the seed's IN targets in it.

    A target has one copy in a document at most, at a random token offset; a document is drawn in
    proportion to its length. Natural targets are in the background already.
    """
    generator = np.random.default_rng([SEED, seed])
    sizes = np.array([ids.size for ids in background], dtype=np.float64)
    weights = sizes / sizes.sum()
    inserts: list[list[tuple[int, Ints]]] = [[] for _ in background]
    for target in targets:
        if target.half != seed % 2 or target.arm == "natural":
            continue
        ids = np.array(target.ids, dtype=np.int64)
        count = target.level + target.near
        chosen = generator.choice(len(background), size=count, replace=False, p=weights)
        for number, row in enumerate(chosen):
            copy = ids.copy()
            if number >= target.level:
                altered = generator.random(copy.size) < target.rate
                copy[altered] = generator.choice(unigrams, size=int(altered.sum()))
            inserts[row].append((int(generator.integers(background[row].size + 1)), copy))
    made = []
    for ids, extra in zip(background, inserts, strict=True):
        chunks, at = [], 0
        for index, copy in sorted(extra, key=lambda pair: pair[0]):
            chunks += [ids[at:index], copy]
            at = index
        made.append(np.concatenate([*chunks, ids[at:]]))
    return made


def copies(texts: list[str], found: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Exact copies of each text in the documents, and similarity-weighted near copies.

    A document without an exact copy counts with the share of the text's word 5-grams that it has,
    where that is at least LEAST_SHARE.
    """
    exact = np.zeros(len(texts))
    near = np.zeros(len(texts))
    grams = [word_grams(text) for text in texts]
    owners: dict[tuple[str, ...], list[int]] = {}
    for row, own in enumerate(grams):
        for gram in own:
            owners.setdefault(gram, []).append(row)
    for document in found:
        counts = np.array([document.count(text) for text in texts])
        exact += counts
        shared = Counter(
            row for gram in word_grams(document) & owners.keys() for row in owners[gram]
        )
        for row, number in shared.items():
            share = number / len(grams[row])
            if counts[row] == 0 and share >= LEAST_SHARE:
                near[row] += share
    return exact, near


def word_grams(text: str, length: int = 5) -> set[tuple[str, ...]]:
    """The distinct runs of words of a text, in lower case; all its words if they are fewer."""
    words = re.findall(r"\w+", text.lower())
    last = max(1, len(words) - length + 1)
    return {tuple(words[at : at + length]) for at in range(last)} if words else set()


def ngram_logprobs(text: Ints, ids: Ints) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of tokens (int64[n, length]) under a unigram and an interpolated trigram
    model of `text`: float64[n, length] each. A row's first two tokens have the unigram's.
    """
    size = int(max(text.max(), ids.max())) + 1
    one = np.bincount(text, minlength=size) + 0.5
    unigram = one / one.sum()
    found = unigram[ids]
    history = ids[:, :-1]
    two = _conditional(text[:-1] * size + text[1:], text[:-1], history * size + ids[:, 1:], history)
    mixed = found.copy()
    mixed[:, 1:] = 0.4 * found[:, 1:] + 0.6 * two
    pairs = text[:-2] * size + text[1:-1]
    before = ids[:, :-2] * size + ids[:, 1:-1]
    three = _conditional(pairs * size + text[2:], pairs, before * size + ids[:, 2:], before)
    mixed[:, 2:] = 0.5 * mixed[:, 2:] + 0.5 * three
    return np.log(found), np.log(mixed)


def _conditional(grams: Ints, histories: Ints, whole: Ints, given: Ints) -> np.ndarray:
    """Count of each n-gram of `whole` over that of its history, 0 for a history never seen."""
    up, down = (
        _counts(keys, requested) for keys, requested in ((grams, whole), (histories, given))
    )
    return np.divide(up, down, out=np.zeros(up.shape), where=down > 0)


def _counts(keys: Ints, requested: Ints) -> np.ndarray:
    names, counts = np.unique(keys, return_counts=True)
    index = np.minimum(np.searchsorted(names, requested), names.size - 1)
    return np.where(names[index] == requested, counts[index], 0).astype(np.float64)
