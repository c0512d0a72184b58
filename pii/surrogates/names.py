"""Surrogates of people, locations, organizations and ages.

A family name or a location is blended from parts of the names in Faker's lists: the start of one, a
syllable, the end of another ("Kent" and "Morales" may give "Kenanales"). Lists of real names are
too short for a check: a name in fifty would be taken for a surrogate. Given names are whole. Each
word of a person's name is replaced by itself, so that "Maria Hoffmann" and "Ms Hoffmann" agree.

The lists are put in order and read by number, never through Faker's own generator. They change
between versions of Faker, and then the surrogates do: `lists_digest` belongs in the manifest.
"""

import hashlib
import importlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

from unrote.pii.keys import Key
from unrote.pii.surrogates.codes import DIGITS, UPPER, ZIP, code_at
from unrote.pii.surrogates.family import Family, normalised, word_list
from unrote.pii.surrogates.keyed_subset import Subset, check_bits

LOCALES = word_list(
    "da_DK de_DE en_GB en_US es_ES fi_FI fr_FR hr_HR it_IT nl_NL no_NO pl_PL pt_BR ro_RO sv_SE"
)
"""Those of Faker's locales that are taken, for names of plain Latin letters."""

_NAME = re.compile(r"[A-Z][a-z]{2,9}")
_GENDERS = ("male", "female")
_START = 3
_SYLLABLES = tuple(vowel + consonant for vowel in "aeio" for consonant in "bdglmnrstvz")
_TOWNS = word_list(
    "berg borough burgh bury chester field ford furt haven land mouth port shire side stad ton "
    "town view ville"
)


@cache
def given_names() -> tuple[str, ...]:
    """Faker's given names, in order."""
    return tuple(sorted(_listed("first_names")))


@cache
def family_names() -> tuple[str, ...]:
    """Faker's family names, in order."""
    return tuple(sorted(_listed("last_names")))


def _listed(attribute: str) -> set[str]:
    return {name for _, _, name in _listings(attribute)}


def _listings(attribute: str) -> Iterator[tuple[str, str, str]]:
    """Locale, list and name of what Faker lists under attributes that begin so."""
    for locale in LOCALES:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for listed in dir(provider):
            if listed.startswith(attribute):
                for name in filter(_NAME.fullmatch, getattr(provider, listed) or ()):
                    yield locale, listed, name


@cache
def _classes() -> dict[str, frozenset[str]]:
    """By given name in lower case: "male", "female" and locales that it is listed for."""
    found: dict[str, set[str]] = {}
    for locale, listed, name in _listings("first_names"):
        classes = found.setdefault(name.lower(), set())
        classes.add(locale)
        if not classes.issuperset(_GENDERS):
            classes.update(gender for gender in _GENDERS if listed.endswith(f"_{gender}"))
    return {name: frozenset(classes) for name, classes in found.items()}


@cache
def lists_digest() -> str:
    """16 hexadecimal digits that change when the lists of names do."""
    content = "\n".join((*given_names(), "", *family_names()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Blend:
    """Words made of one part from each of several lists. The words of any list but the last are of
    equal length, so that a word can be taken apart in one way only.
    """

    name: str
    lists: tuple[tuple[str, ...], ...]
    indices: tuple[dict[str, int], ...]

    @classmethod
    def of(cls, name: str, *lists: Iterable[str]) -> "Blend":
        ordered = tuple(tuple(sorted(set(parts))) for parts in lists)
        return cls(name, ordered, tuple({p: at for at, p in enumerate(ps)} for ps in ordered))

    def subset(self, key: Key) -> Subset:
        size = 1
        for parts in self.lists:
            size *= len(parts)
        return Subset(key, self.name, size, check_bits(size, reserved=False))

    def drawn(self, key: Key, *seed: str | int) -> str:
        index = self.subset(key).drawn(*seed)
        out = ""
        for parts in reversed(self.lists):
            index, part = divmod(index, len(parts))
            out = parts[part] + out
        return out.capitalize()

    def recognizes(self, key: Key, word: str) -> bool:
        word = word.lower()
        index = offset = 0
        for parts, index_of in zip(self.lists, self.indices, strict=True):
            last = parts is self.lists[-1]
            part = word[offset:] if last else word[offset : offset + len(parts[0])]
            if part not in index_of:
                return False
            index = index * len(parts) + index_of[part]
            offset += len(part)
        return self.subset(key).contains(index)


_PRONOUNCEABLE = re.compile(r"[^aeiouy]?[aeiou][^aeiouyhjqwx]|[bcfgpst][hlr][aeiou]")


def _starts() -> set[str]:
    starts = {name[:_START].lower() for name in family_names() if len(name) >= 6}
    return set(filter(_PRONOUNCEABLE.fullmatch, starts))


@cache
def surnames() -> Blend:
    ends = {
        name[at:].lower() for name in family_names() for at in (3, 4) if len(name) - at in {2, 3, 4}
    }
    ends = {end for end in ends if end[0] in "aeiou"}
    return Blend.of("surname", _starts(), _SYLLABLES, ends)


@cache
def towns() -> Blend:
    return Blend.of("town", _starts(), _SYLLABLES, _SYLLABLES, _TOWNS)


KNOWN = 1 << 14
"""Names, last seen, that are not read and replaced anew: a document has the same ones again."""

# Given names: of all of them, one in 16 goes with a family name.

_GIVEN_BITS = 4
_DRAWS = 12
_SAME_KIND = 3


def _given_subset(key: Key, surname: str) -> Subset:
    return Subset(key, f"given {surname.lower()}", len(given_names()), _GIVEN_BITS)


def _given(key: Key, surname: str, like: str, *seed: str | int) -> str:
    """A given name that goes with a surname: of `like`'s gender, and of a language that has it,
    where one of a few draws is.
    """
    subset, wanted = _given_subset(key, surname), _classes().get(like.lower(), frozenset())
    best, rank = "", -1
    for draw in range(_DRAWS if wanted else 1):
        name = given_names()[subset.drawn(*seed, draw)]
        shared = wanted & _classes()[name.lower()]
        here = 2 * bool(shared.intersection(_GENDERS)) + bool(shared.difference(_GENDERS))
        if here > rank:
            best, rank = name, here
        if rank == _SAME_KIND:
            break
    return best


@cache
def _given_index() -> dict[str, int]:
    return {name.lower(): at for at, name in enumerate(given_names())}


def _is_given(key: Key, surname: str, word: str) -> bool:
    index = _given_index().get(word.lower())
    return index is not None and _given_subset(key, surname).contains(index)


def cased(word: str, like: str) -> str:
    """The word in the case of another."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.lower() if like.islower() else word


_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:-\d+)?")
_KEPT_OF_NAMES = frozenset(
    word_list(
        "mr mrs ms miss mx dr prof sir dame lord lady rev fr herr frau mme m sr sra jr ii iii iv "
        "md phd dds rn esq"
    )
)
_PARTICLES = frozenset(
    word_list("van von de der den del della di da do dos du la le bin ibn al el y e af av")
)


def latin(value: str) -> bool:
    """Whether all letters are Latin ones."""
    if value.isascii():
        return True
    letters = filter(str.isalpha, value)
    return all(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)


def _bare(word: str) -> str:
    return word[:-2] if word.endswith(("'s", "’s", "'S", "’S")) else word


@dataclass(frozen=True, slots=True)
class _Name:
    surname: re.Match[str]
    given: list[re.Match[str]]
    initials: list[re.Match[str]]


def _name(value: str, kept: frozenset[str] = _KEPT_OF_NAMES) -> _Name | None:
    """The parts of a name; None if no word of it is a name. kept: words that are titles."""
    if not latin(value) or any(map(str.isdigit, value)):
        return None
    words = [m for m in _TOKEN.finditer(value) if _bare(m[0]).lower() not in kept]
    full = [m for m in words if len(m[0]) > 1 and m[0] not in _PARTICLES]
    if not full:
        return None
    comma = value.find(",")
    ahead = [m for m in full if m.end() <= comma] if any(m.start() > comma for m in full) else []
    surname = (ahead or full)[-1]
    return _Name(
        surname,
        [m for m in full if m is not surname],
        [m for m in words if len(m[0]) == 1],
    )


def replaced(value: str, parts: Sequence[tuple[re.Match[str], str]]) -> str:
    """The value with some of its tokens replaced; a genitive stays."""
    out = value
    for match, word in sorted(parts, key=lambda part: -part[0].start()):
        bare = _bare(match[0])
        out = out[: match.start()] + cased(word, bare) + out[match.start() + len(bare) :]
    return out


def _person_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    name = _name(value)
    if name is None:
        return None
    if seed != normalised(value):  # a marker's, whose words are but a shape
        return _drawn_name(key, value, name, [seed, attempt])
    return _drawn_name(key, value, name, [attempt] if attempt else [])


def _drawn_name(
    key: Key,
    value: str,
    name: _Name,
    seed: Sequence[str | int],
    letters: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A name with its words replaced, each by itself: what a word becomes depends on it and, for a
    given name, on the surname that goes with it, so that all forms of a name agree. letters: what
    initials become, as far as that is known.
    """
    surname = surname_for(key, _bare(name.surname[0]), *seed)
    parts = [(name.surname, surname)]
    parts += [(m, given_for(key, surname, _bare(m[0]), *seed)) for m in name.given]
    parts += [
        (m, letters.get(m[0]) or UPPER[key.number(26, "initial", m[0].casefold(), *seed)])
        for m in name.initials
    ]
    return replaced(value, parts)


def with_initials(key: Key, value: str, letters: Mapping[str, str]) -> str | None:
    """The surrogate of a name some of whose initials are known to become `letters`."""
    name = _name(value, _KEPT_OF_NAMES - {*map(str.lower, letters)})
    return None if name is None else _drawn_name(key, value, name, [], letters)


@lru_cache(maxsize=KNOWN)
def surname_for(key: Key, surname: str, *seed: str | int) -> str:
    """The surname in the place of another."""
    return surnames().drawn(key, normalised(surname), *seed)


@lru_cache(maxsize=KNOWN)
def given_for(key: Key, surname: str, given: str, *seed: str | int) -> str:
    """The given name in the place of another, beside the surrogate `surname`."""
    return _given(key, surname, given, normalised(given), *seed)


def may_be_initials(value: str) -> tuple[str, ...]:
    """The initials of a name, and a title of one letter: the French M. may be that of Maria."""
    name = _name(value, frozenset(word for word in _KEPT_OF_NAMES if len(word) > 1))
    return () if name is None else tuple(_bare(m[0]) for m in name.initials)


@lru_cache(maxsize=KNOWN)
def words_of_name(value: str) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """Surname, given names and initials of a name; None if no word of it is a name."""
    name = _name(value)
    if name is None:
        return None
    given, initials = ([_bare(m[0]) for m in words] for words in (name.given, name.initials))
    return _bare(name.surname[0]), tuple(given), tuple(initials)


def _person_recognizes(key: Key, value: str) -> bool:
    name = _name(value)
    if name is None:
        return False
    surname = _bare(name.surname[0])
    if not surnames().recognizes(key, surname):
        return False
    return all(_is_given(key, surname, _bare(m[0])) for m in name.given)


PERSON = Family("person", _person_draw, _person_recognizes, lambda value: _name(value) is not None)


# Locations: every word but those of the kind ("Street", "North") and of states and countries.

_KEPT_OF_LOCATIONS = frozenset(
    word_list(
        "street st avenue ave road rd lane ln drive dr court ct boulevard blvd square sq terrace "
        "way highway hwy parkway pkwy circle place plaza alley row route apt apartment suite ste "
        "floor fl unit room box po p o north south east west northeast northwest southeast "
        "southwest n s e w ne nw se sw new old great upper lower lake port fort mount san santa "
        "los las saint the of and at in near county city town village district province state "
        "region upon le la de del der am straße strasse platz rue calle via piazza plaza avenida "
        "usa us uk eu al ak az ar ca co ct de fl ga hi ia id il ks ky ma md me mi mn mo ms mt nc "
        "nd nh nj nm nv ny oh ok pa ri sc sd tn tx ut va vt wa wi wv wy dc"
    )
)


def _words_to_replace(value: str, kept: frozenset[str]) -> list[re.Match[str]]:
    words = [m for m in _TOKEN.finditer(value) if m[0][0].isalpha()]
    return [m for m in words if _bare(m[0]).lower() not in kept] or [
        m for m in words if len(m[0]) > 3
    ]


def numbered(key: Key, match: re.Match[str], seed: str, attempt: int) -> str:
    """The number in the place of one of an address; of a ZIP code one that is not in use."""
    digits = match[0]
    if len(digits) in {5, 10}:
        return ZIP.draw(key, digits, seed, attempt) or digits
    first = code_at(key.number(9, "house", seed, attempt, match.start()), ["123456789"])
    rest = [DIGITS if char.isdigit() else char for char in digits[1:]]
    return first + code_at(key.number(10**18, "house", seed, attempt, match.start(), 1), rest[:18])


def _location_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    words = _words_to_replace(value, _KEPT_OF_LOCATIONS) if latin(value) else []
    if not words:
        return None
    parts = [(m, towns().drawn(key, seed, attempt, at)) for at, m in enumerate(words)]
    parts += [
        (m, numbered(key, m, seed, attempt)) for m in _TOKEN.finditer(value) if m[0][0].isdigit()
    ]
    return replaced(value, parts)


def _all_recognized(blend: Callable[[], Blend], kept: frozenset[str]) -> Callable[[Key, str], bool]:
    def recognizes(key: Key, value: str) -> bool:
        words = _words_to_replace(value, kept) if latin(value) else []
        return bool(words) and all(blend().recognizes(key, _bare(m[0])) for m in words)

    return recognizes


LOCATION = Family("location", _location_draw, _all_recognized(towns, _KEPT_OF_LOCATIONS), bool)


# Organizations: every word but those of the form ("Inc") and of the trade ("Hospital").

_KEPT_OF_ORGANIZATIONS = frozenset(
    word_list(
        "inc incorporated llc llp lp ltd limited plc corp corporation co company companies group "
        "holding holdings gmbh ag kg se sa sarl bv nv ab oy as spa srl and the of for in on at und "
        "et y & sons university college school institute hospital clinic center centre medical "
        "health bank trust foundation association society council department ministry office "
        "agency committee church party union national international federal state city county "
        "general services systems technologies solutions partners associates"
    )
)


def _organization_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    if not latin(value) or any(map(str.isdigit, value)):
        return None
    words = _words_to_replace(value, _KEPT_OF_ORGANIZATIONS)
    if not words or (value.isupper() and len(value) <= 5):  # an acronym
        return None
    return replaced(
        value, [(m, surnames().drawn(key, "of", seed, attempt, at)) for at, m in enumerate(words)]
    )


ORGANIZATION = Family(
    "organization", _organization_draw, _all_recognized(surnames, _KEPT_OF_ORGANIZATIONS), bool
)


# User names: words are blended, digits drawn. "jane_roe47" has two words.

_LONGEST_INITIALS = 2


def _words_of_username(value: str) -> list[re.Match[str]]:
    words = _TOKEN.finditer(value) if latin(value) else ()
    return [m for m in words if m[0].isalpha() and len(m[0]) > _LONGEST_INITIALS]


def _username_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    words = _words_of_username(value)
    if not words:
        return None
    blended = replaced(
        value, [(m, surnames().drawn(key, seed, attempt, at)) for at, m in enumerate(words)]
    )
    body = code_at(key.number(10**18, "username", seed, attempt), [DIGITS] * 18)
    digits = iter(body * (len(blended) // 18 + 1))
    return "".join(next(digits) if char in DIGITS else char for char in blended)


def _username_recognizes(key: Key, value: str) -> bool:
    words = _words_of_username(value)
    return bool(words) and all(surnames().recognizes(key, m[0]) for m in words)


USERNAME = Family(
    "username", _username_draw, _username_recognizes, lambda v: bool(_words_of_username(v))
)


# Ages: four neighbouring ages become one of them, and all from 90 on the one of 86 to 89 (45 CFR
# 164.514 (b)(2)(i)(C)). An age that stays as it is says no more than any other.

_NUMBER = re.compile(r"\d{1,3}")
_BAND = 4


def _age(key: Key, age: int) -> int:
    if age < 2:
        return key.number(2, "age", -1)
    band = (min(age, 89) - 2) // _BAND
    return 2 + band * _BAND + key.number(_BAND, "age", band)


def _age_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    del seed, attempt
    if not _NUMBER.search(value):
        return None
    return _NUMBER.sub(lambda match: str(_age(key, int(match[0]))), value)


def _age_recognizes(key: Key, value: str) -> bool:
    ages = [int(age) for age in _NUMBER.findall(value)]
    return bool(ages) and all(_age(key, age) == age for age in ages)


AGE = Family("age", _age_draw, _age_recognizes, lambda v: bool(_NUMBER.search(v)), generalises=True)
