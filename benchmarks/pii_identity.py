"""Compares findings with those of Presidio's AnalyzerEngine over whole corpora.

    python benchmarks/pii_identity.py --corpus FILE.jsonl [...] [--recognizers default|all|...]
    python benchmarks/pii_identity.py --made 5000

`--made` makes so many sentences with values that have check digits or a strict form (IBANs of all
countries, cards, addresses of mail, machines and wallets, ...), as they are and in lower, upper and
mixed case.

Ours is compared at two thresholds: 0 (everything) and the default. Exit status 1 if any finding of
any document differs in offsets, type or score. Prints numbers and offsets, never text.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import orjson
import zstandard
from faker import Faker
from faker.config import AVAILABLE_LOCALES

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from unrote.pii.config import Config
from unrote.pii.detector import Detector
from unrote.pii.findings import Failure
from unrote.pii.presidio import analyze, analyzer_engine


def texts(path: Path) -> Iterator[str]:
    """The documents of a JSON Lines file (.zst too) or of Presidio's synthetic data (.json)."""
    if path.suffix == ".json":
        yield from (item["full_text"] for item in orjson.loads(path.read_bytes()))
        return
    with path.open("rb") as file:
        lines = zstandard.open(file, "rt", encoding="utf-8") if path.suffix == ".zst" else file
        for line in lines:
            yield orjson.loads(line)["text"]


def made(count: int) -> Iterator[str]:
    """Sentences with one to four made values, written as people and programs write them."""
    writer = Faker(["en_US", "en_GB", "de_DE", "fr_FR", "it_IT", "es_ES", "pl_PL"])
    random = Random(7)
    Faker.seed(7)
    ibans = [
        Faker(locale).iban for locale in AVAILABLE_LOCALES if "_" in locale and locale != "en_PH"
    ]
    kinds: list[Callable[[], str]] = [
        *(writer.email, writer.url, writer.ipv4, writer.ipv6, writer.mac_address, writer.uuid4),
        *(writer.phone_number, writer.swift, writer.license_plate, writer.iso8601, writer.date),
        *(writer["en_US"].ssn, writer["en_US"].itin, writer["en_GB"].ssn, writer["en_US"].aba),
        *(writer.credit_card_number, lambda: spaced(writer.credit_card_number(), random)),
        lambda: "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        *[lambda: spaced(random.choice(ibans)(), random)] * 5,
        *[lambda: str(random.choice(ibans)())] * 5,
    ]
    cases: list[Callable[[str], str]] = [str, str.lower, str.upper, str.swapcase, str.title]
    for _ in range(count):
        values = (
            random.choice(cases)(str(random.choice(kinds)())) for _ in range(random.randint(1, 4))
        )
        yield " ".join(f"{random.choice(BEFORE)}{value}{random.choice(BEHIND)}" for value in values)


BEFORE = ("", "IBAN: ", "my bank account is ", "(", '"', "transaction=", "card ", "ssn ", "mail ")
BEHIND = ("", ".", ",", ")", '"', " 2 days from today", "\n", " x", "é")


def spaced(value: str, random: Random) -> str:
    """In groups of four."""
    groups = [value[at : at + 4] for at in range(0, len(value), 4)]
    return random.choice(" -").join(groups)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[])
    parser.add_argument("--made", type=int, default=0, help="compare so many made sentences, too")
    parser.add_argument("--recognizers", nargs="+", default=["default"])
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.0, 0.4])
    parser.add_argument("--max-mb", type=float, default=1e9, help="of each corpus, at most")
    options = parser.parse_args()
    corpora = [(path.name, partial(texts, path)) for path in options.corpus]
    if options.made:
        corpora.append((f"{options.made} made sentences", partial(made, options.made)))
    if not corpora:
        parser.error("name a corpus, or a number of sentences to make")
    differing = 0
    for threshold in options.thresholds:
        config = Config(
            recognizers=tuple(options.recognizers),
            without=tuple(options.without),
            threshold=threshold,
            secrets=False,
            names=False,
            addresses=False,
            compatible=True,
        )
        detector, engine = Detector(config), analyzer_engine(config)
        for name, read in corpora:
            began, documents, size, found, before = time.monotonic(), 0, 0, 0, differing
            for text in read():
                ours = detector.find_bytes(text.encode())
                theirs = analyze(engine, text, config)
                documents, size, found = documents + 1, size + len(text), found + len(theirs)
                if isinstance(ours, Failure) or [tuple(f[:4]) for f in ours] != theirs:
                    differing += 1
                    report(documents - 1, ours, theirs)
                if size > options.max_mb * 1e6:
                    break
            print(
                f"{name} at {threshold}: {documents} documents, {size / 1e6:.1f} M characters,"
                f" {found} findings, {differing - before} documents differ"
                f" ({time.monotonic() - began:.0f} s)",
                flush=True,
            )
    return 1 if differing else 0


def report(document: int, ours: list | Failure, theirs: list) -> None:
    if isinstance(ours, Failure):
        print(f"document {document}: {ours.origin} {ours.reason}")
        return
    mine = {tuple(finding[:4]) for finding in ours}
    print(f"document {document}: only ours {sorted(mine - set(theirs))[:5]}")
    print(f"document {document}: only Presidio's {sorted(set(theirs) - mine)[:5]}")


if __name__ == "__main__":
    sys.exit(main())
