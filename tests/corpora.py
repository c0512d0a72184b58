"""Corpora for tests, made from a seed: documents, near-copies, shared passages, odd characters."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

SYLLABLES = "ka lo mi ren tus vel or da pik sun eth gra né 語 шо ба".split()


class Writer:
    """Writes text of its own: the same seed, the same text."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = [self.word() for _ in range(400)]

    def word(self) -> str:
        return "".join(self.random.choices(SYLLABLES, k=self.random.randint(1, 4)))

    def sentence(self) -> str:
        words = self.random.choices(self.words, k=self.random.randint(5, 20))
        return " ".join(words).capitalize() + self.random.choice([".", "!", "?", "…"])

    def text(self, sentences: int) -> str:
        joints = self.random.choices([" ", "\n", "\n\n"], weights=[6, 2, 1], k=sentences)
        return "".join(
            s + j for s, j in zip([self.sentence() for _ in range(sentences)], joints, strict=True)
        )

    def near_copy(self, text: str, changes: int = 1) -> str:
        words = text.split(" ")
        for _ in range(changes):
            words[self.random.randrange(len(words))] = self.word()
        return " ".join(words)


def documents(seed: int, count: int) -> list[str]:
    """Texts of which about a third are copies, near-copies, or hold passages of others."""
    writer = Writer(seed)
    texts: list[str] = []
    for _ in range(count):
        kind = writer.random.random()
        if kind < 0.6 or not texts:
            text = writer.text(writer.random.randint(1, 30))
        elif kind < 0.68:
            text = writer.random.choice(texts)
        elif kind < 0.8:
            text = writer.near_copy(writer.random.choice(texts))
        elif kind < 0.95:
            other = writer.random.choice(texts)
            start = writer.random.randrange(max(1, len(other) - 200))
            text = writer.text(2) + other[start : start + 400] + writer.text(1)
        elif kind < 0.97:
            text = "-" * writer.random.randint(0, 700) + writer.sentence()
        else:
            text = writer.random.choice(["", " \n", "x", "語" * 300, "a\x00b\u202e\u0301 🎉" * 40])
        texts.append(text)
    return texts


def rows(texts: list[str], source: str) -> list[dict]:
    return [
        {"id": f"{source}-{n}", "text": text, "meta": {"n": n, "share": 1.50, "tags": ["a", None]},
         "date": f"20{n % 30:02d}-01-01", "source": source}
        for n, text in enumerate(texts)
    ]  # fmt: skip


def write_jsonl(path: Path, found: list[dict], *, ascii_only: bool = False) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in found).encode()
    if path.suffix == ".gz":
        lines = gzip.compress(lines, mtime=0)
    elif path.suffix == ".zst":
        lines = zstandard.compress(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines)


def write_parquet(path: Path, found: list[dict], row_group: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(found), path, row_group_size=row_group)


PERSONAL = (
    "Dear {name}, write to {mail} or call (212) 664-{four}. Yours, <PERSON>.",
    "Her SSN is 536-90-{four}; she was seen on 2011-03-{day}, and again on 2011-04-{day}.",
    "Pay 4539 5787 6362 1486 or DE75 5121 0800 1245 1261 99 from 81.2.69.{day}, mail {mail}.",
    "The patient [**Known lastname 742**] was discharged on [**2151-7-16**], {mail}.",
    "token = ghp_{token} # see https://docs.unrote.org/{four} and {mail}",
)


def personal(seed: int, count: int) -> list[dict]:
    """Rows with personal data in their texts and in the column `author`, some of it repeated."""
    writer = Writer(seed)
    found = []
    for n in range(count):
        draw = writer.random.randrange
        values = {
            "name": writer.word().capitalize(),
            "mail": f"{'jane joan jill'.split()[draw(3)]}.roe{draw(20)}@unrote.org",
            "four": f"{draw(1000, 9999)}",
            "day": f"{draw(10, 28)}",
            "token": "".join(writer.random.choices("abcdefghijkmnpqrstuvwxyz23456789", k=36)),
        }
        said = writer.random.choice(PERSONAL).format(**values)
        row = {"id": f"p{n}", "author": f"{values['name']} <{values['mail']}>"}
        found.append(row | {"text": f"{writer.text(2)}\n{said}\n{writer.sentence()}"})
    return found


def write_corpus(folder: Path, seed: int = 0, count: int = 240) -> Path:
    """A folder with a shard of every kind, whose copies go across shards."""
    found = rows(documents(seed, count), "mixed")
    fifth = count // 5
    write_jsonl(folder / "web" / "a.jsonl", found[:fifth])
    write_jsonl(folder / "web" / "b.jsonl.gz", found[fifth : 2 * fifth], ascii_only=True)
    write_jsonl(folder / "books" / "c.jsonl.zst", found[2 * fifth : 3 * fifth])
    write_parquet(folder / "books" / "d.parquet", found[3 * fifth : 4 * fifth])
    for n, row in enumerate(found[4 * fifth : 4 * fifth + 6]):
        (folder / "notes").mkdir(exist_ok=True)
        (folder / "notes" / f"{n}.txt").write_bytes(row["text"].encode())
    write_jsonl(folder / "web" / "e.jsonl", found[4 * fifth + 6 :])
    return folder
