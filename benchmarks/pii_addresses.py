"""Street addresses: precision and recall on made sentences, findings a megabyte elsewhere.

    python -m benchmarks.pii_addresses [--mimesis]
        [--texts FOLDER | --corpus FILE.jsonl] [--megabytes 8] [--sample 50]

The addresses are Faker's, of its locales of twelve languages, one line or several, in sentences; a
third of the locales, by a hash of their names, was held out while the rules were written.
--mimesis: those of another generator (PyPI: mimesis), all of which is held out; streets are its
own, postal code and town stand as the country's post wants them. Beside them stand sentences that
only look like addresses. Found is a label that a finding overlaps, whole one that it covers; right
is a finding that overlaps a label. --texts, --corpus: findings in other text.
"""

import argparse
import hashlib
import importlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

from faker import Faker

from unrote.pii.config import Config
from unrote.pii.detector import Detector
from unrote.pii.findings import Failure
from unrote.pii.surrogates.family import word_list

LOCALES = word_list(
    "da_DK de_AT de_CH de_DE en_AU en_CA en_GB en_IE en_IN en_NZ en_PH en_US es_AR es_CL es_CO "
    "es_ES es_MX fi_FI fr_CA fr_CH fr_DZ fr_FR it_IT nl_BE nl_NL no_NO pl_PL pt_BR pt_PT sv_SE"
)

OTHERS = dict.fromkeys(
    word_list("da de de-at de-ch es es-mx fi fr it nl nl-be no pl pt pt-br sv"), "{0}\n{1} {2}"
) | {"en": "{0}\n{2}, {3} {1}", "en-au": "{0}\n{2} {3} {1}", "en-ca": "{0}\n{2}, {3} {1}"}
OTHERS["en-gb"] = "{0}\n{2}\n{1}"
"""Locales of mimesis: street, postal code, town and state."""

PLACES = (
    *("{}", "My address is {}.", "{name} lives at {} and works from home.", "Wohnhaft in {}"),
    *("Ship to:\n{name}\n{}\n\nThanks", '{"name": "{name}", "address": "{}"}', "Adresse : {}"),
    *("| {name} | {} |", "Calle: {}; tel. 12"),
)

LOOKALIKES = (
    *(
        "a {n} Way Handshake is needed",
        "in version {n} Drive was added",
        "Figure {n} Trail of data",
    ),
    *("{n} Hard Drives and {n} Flash Drives", "chapter {n} Main Street", "ERROR {n} Key Not Found"),
    *("In 2008 Wall Street fell by {n} percent", "see section {n}.1 Road Map", "via port {n}"),
    *("for (int way = {n}; way < {n}; way++) Walk(way);", "the {n} Supreme Court judges"),
    *("String {n} of {n}", "Monitoring {n} hosts", "Arbeitsplatz {n} ist frei", "{n} Angry Men"),
    *("Python {n}, Java {n}", "{n} rue d'attente", "el camino de {n} pasos", "Error, CA {n}"),
    *("Rua é uma palavra, {n} vezes", "Platz {n} von {n}", "int street = {n}; // Road"),
    *("Route {n} goes north", "Highway {n}", "{n} Least Square fits", "Table {n} Row {n}"),
    *("Build {n} Circle CI passed", "{n} Users In Berlin"),
)


class Sample(NamedTuple):
    """A text, and start and end of the address in it (-1: there is none)."""

    group: str
    text: str
    start: int = -1
    end: int = -1


def is_held_out(locale: str) -> bool:
    return hashlib.sha256(locale.encode()).digest()[0] % 3 == 0


def fakers(locale: str, each: int) -> Iterator[tuple[str, str]]:
    """Addresses and names of Faker's."""
    faker = Faker(locale)
    faker.seed_instance(7)
    for _ in range(each):
        address, name = faker.address(), faker.last_name()
        yield address, name


def mimesis(locale: str, each: int) -> Iterator[tuple[str, str]]:
    """Addresses and names of mimesis'."""
    generic = importlib.import_module("mimesis").Generic(locale, seed=7)
    for _ in range(each):
        one = generic.address
        state = one.state(abbr=True) if locale.startswith("en") else ""
        parts = (one.address(), one.postal_code(), one.city(), state)
        yield OTHERS[locale].format(*parts), generic.person.surname()


def placed(locale: str, addresses: Iterable[tuple[str, str]]) -> Iterator[Sample]:
    """Addresses in sentences, three in ten of them in one line."""
    random = Random(locale)
    for address, name in addresses:
        one = address
        if random.random() < 0.3:
            one = address.replace("\n", ", ").replace(",,", ",")
        place = random.choice(PLACES)
        before, after = place.split("{}")
        before, after = before.replace("{name}", name), after.replace("{name}", name)
        start = len(before)
        yield Sample(locale, before + one + after, start, start + len(one))


def labelled(each: int = 60) -> Iterator[Sample]:
    """`each` addresses of each locale; each look-alike once for every locale."""
    for locale in LOCALES:
        yield from placed(locale, fakers(locale, each))
    random = Random(1)
    for template in LOOKALIKES:
        for _ in range(len(LOCALES)):
            yield Sample("look-alikes", template.replace("{n}", str(random.randrange(1, 300))))


def detector() -> Detector:
    return Detector(Config(recognizers=("UUID",), secrets=False, names=False))


def found(one: Detector, text: str) -> list[tuple[int, int]]:
    findings = one.find_bytes(text.encode())
    assert not isinstance(findings, Failure)
    return [(f.start, f.end) for f in findings if f.type == "ADDRESS"]


class Tally(Counter[str]):
    def add(self, sample: Sample, spans: list[tuple[int, int]]) -> None:
        meeting = [s for s in spans if s[0] < sample.end and sample.start < s[1]]
        self["labels"] += sample.start >= 0
        self["found"] += bool(meeting)
        self["whole"] += any(s[0] <= sample.start and sample.end <= s[1] for s in meeting)
        self["findings"] += len(spans)
        self["right"] += len(meeting)

    def row(self, name: str) -> str:
        precision = self["right"] / self["findings"] if self["findings"] else float("nan")
        recall, whole = (
            self[n] / self["labels"] if self["labels"] else float("nan") for n in ("found", "whole")
        )
        figures = f"{self['findings']:,} | {precision:.3f} | {recall:.3f} | {whole:.3f}"
        return f"| {name} | {self['labels']:,} | {figures} |"


def measure(samples: Iterable[Sample], show: int = 0) -> dict[str, Tally]:
    """By locale and sum."""
    one, tallies = detector(), {}
    for sample in samples:
        held = sample.group in OTHERS or is_held_out(sample.group)
        sums = ["look-alikes" if sample.start < 0 else "held out" if held else "seen"]
        spans = found(one, sample.text)
        for name in {sample.group, *sums, "all"}:
            tallies.setdefault(name, Tally()).add(sample, spans)
        if show and not held and (sample.start >= 0) != bool(spans):
            print(repr(sample.text))
    return tallies


def texts(folder: Path, most: int) -> Iterator[str]:
    held = 0
    for path in sorted(
        folder.rglob("*"), key=lambda path: hashlib.sha256(str(path).encode()).digest()
    ):
        if path.is_file() and not path.is_symlink() and path.suffix not in {".gz", ".png", ".pyc"}:
            text = path.read_text("utf-8", "ignore")
            held += len(text.encode())
            yield text
            if held > most:
                return


def rows(path: Path, most: int) -> Iterator[str]:
    held = 0
    with path.open() as lines:
        for line in lines:
            text = json.loads(line)["text"]
            held += len(text.encode())
            yield text
            if held > most:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=60)
    parser.add_argument("--mimesis", action="store_true", help="of another generator")
    parser.add_argument("--texts", type=Path, help="a folder of other text")
    parser.add_argument("--corpus", type=Path, help="other text, JSON Lines")
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--sample", type=int, default=0, help="findings to print, of the texts")
    parser.add_argument(
        "--show", action="store_true", help="what is wrong, of locales not held out"
    )
    given = parser.parse_args()
    if given.texts is None and given.corpus is None:
        print("| addresses | labels | findings | precision | recall | whole |")
        print("|---|--:|--:|--:|--:|--:|")
        samples = labelled(given.each)
        if given.mimesis:
            samples = chain.from_iterable(placed(one, mimesis(one, given.each)) for one in OTHERS)
        tallies = measure(samples, given.show)
        sums = ("seen", "held out", "look-alikes", "all")
        for name in sorted(tallies, key=lambda name: (name in sums, name)):
            held = name in LOCALES and is_held_out(name)
            print(tallies[name].row(f"{name} (held out)" if held else name))
        return
    one, size, lines = detector(), 0, []
    most = int(given.megabytes * 1e6)
    for text in rows(given.corpus, most) if given.corpus else texts(given.texts, most):
        size += len(text.encode())
        lines += [text[max(0, a - 20) : b + 10] for a, b in found(one, text)]
    print(f"{size / 1e6:.1f} MB, {len(lines)} findings, {len(lines) / size * 1e6:.2f} a MB")
    for line in sorted(lines, key=lambda line: hashlib.sha256(line.encode()).digest())[
        : given.sample
    ]:
        print(repr(line))


if __name__ == "__main__":
    main()
