"""Surrogates: made-up values that replace personal data in a text.

A surrogate is a value of the same type and shape as the original that belongs to nobody. It is a
function of the original and a secret key: the same all over a corpus and in every run with that
key, another with another key. With the key `is_surrogate` recognises it, so that scrubbing a
scrubbed text changes nothing.

How that goes together: each family of values (`codes`, `network`, `phones`, `crypto`, `names`) is a
numbered domain; the key makes a random-looking subset of it (`subset`); the original, hashed with
the key, picks one of the subset. A value from outside is in the subset with a known probability,
which is the rate at which a real value is taken for a surrogate, and stays. Where a standard
reserves a range that is large enough, the domain is that range and real values are not in it at
all.

=================  =======================================  =======================  =============
type               domain                                   distinct surrogates      rate
=================  =======================================  =======================  =============
EMAIL_ADDRESS      LABEL.example.{com,net,org} (RFC 2606)   2**23 to 2**35 labels    0
URL                the same hosts; addresses as IP_ADDRESS  2**23 to 2**35 labels    0
PHONE_NUMBER, +1   555-2000 to 555-9999 of each area code   2**19 (US)               0
PHONE_NUMBER       valid in the country, first digit kept   2**16 (9 digits), 2**18  2**-10, -12
CREDIT_CARD        first two digits kept, Luhn              2**26 (16 digits)        2**-17
IBAN_CODE          format of the country, mod 97            2**36 (18 digits)        2**-24
IP_ADDRESS         240.0.0.0/4; 2001:db8::/32               2**25; 2**56 or 84       0
MAC_ADDRESS        reserved local quarter (x6)              2**27                    2**-17
UUID               version and variant kept                 2**90                    2**-32
US_SSN             900 to 999, groups 01 to 49              2**22                    0
US_ITIN            groups 66 to 69                          2**19                    0
UK_NHS             999, mod 11                              2**17                    0
MEDICAL_LICENSE    DEA format and check digit               2**17                    2**-11
CRYPTO             Bitcoin addresses with their checksum    2**128                   2**-32
ZIP_CODE           prefixes not in use                      2**11; ZIP+4: 2**22      0
PERSON             given names and blended family names     2**22; one word: 2**14   2**-14, -9
LOCATION, ADDRESS  blended names of towns; ZIP codes        2**14 for each word      2**-9
ADDRESS, no name   its first number, of 7 digits or more    2**14                    2**-9
ORGANIZATION       blended names; form and trade kept       2**14 for each word      2**-9
SECRET             the same behind its prefix ("ghp_")      of what is behind it     2**-8 to -32
USERNAME           blended family names; digits             2**14 for each word      2**-9
own patterns       the shape that they give             3/5 of the shape's bits  2**-8 to -32
anything else      class of each character kept             3/5 of the shape's bits  2**-8 to -32
DATE_TIME          the document's dates move together       5,458 shifts             2**-9
AGE                one of four neighbouring ages            23                       see `names`
=================  =======================================  =======================  =============

The rate is per distinct value, for DATE_TIME per document. "0" is as good as the standard: no such
value was given to anybody. Of n originals with m surrogates to choose from, n*(n - 1)/(2*m) pairs
share one (the birthday bound), and the commonest surrogate of unlike originals stands for few of
them: about log(n) / log(m * log(n) / n) where n is at most m.

`docs/adr/0008-surrogates.md` has the reasons, and what an attacker learns.
"""

import re
from functools import lru_cache

from unrote.pii.catalogue import POSSIBLE_PERSON
from unrote.pii.keys import Key
from unrote.pii.surrogates import dates
from unrote.pii.surrogates.addresses import ADDRESS
from unrote.pii.surrogates.bitcoin import CRYPTO
from unrote.pii.surrogates.codes import (
    CARD,
    DEA,
    IBAN,
    ITIN,
    MAC,
    NHS,
    PATTERN,
    SSN,
    UUID,
    ZIP,
    compact,
)
from unrote.pii.surrogates.family import Family, word_list
from unrote.pii.surrogates.names import AGE, LOCATION, ORGANIZATION, PERSON, USERNAME
from unrote.pii.surrogates.network import EMAIL, IP, URL
from unrote.pii.surrogates.phones import PHONE
from unrote.pii.surrogates.secrets import SECRET
from unrote.pii.surrogates.shapes import shape_family

__all__ = ["NoSurrogate", "is_surrogate", "marker_surrogate", "surrogate"]


class NoSurrogate(Exception):
    """A value's shape has no room for a surrogate; the value is to be removed."""


MAX_ATTEMPTS = 400
"""So many draws may fail, for a number is not valid or equals the original, before the shape alone
is kept. The least dense domains, phone numbers of some countries, are valid once in ten times."""

CACHE_SIZE = 1 << 15
"""Values, last seen, whose surrogate is not drawn again: the same addresses come again and again,
and a draw takes a few hundred microseconds."""

_FAMILIES: dict[str, Family] = {
    "EMAIL_ADDRESS": EMAIL,
    "URL": URL,
    "IP_ADDRESS": IP,
    "PHONE_NUMBER": PHONE,
    "CREDIT_CARD": CARD.family(),
    "IBAN_CODE": IBAN.family(),
    "MAC_ADDRESS": MAC.family(),
    "UUID": UUID.family(),
    "CRYPTO": CRYPTO,
    "US_SSN": SSN.family(),
    "US_ITIN": ITIN.family(),
    "UK_NHS": NHS.family(),
    "MEDICAL_LICENSE": DEA.family(),
    "ZIP_CODE": ZIP.family(),
    "PERSON": PERSON,
    "LOCATION": LOCATION,
    "ADDRESS": ADDRESS,
    "ORGANIZATION": ORGANIZATION,
    "AGE": AGE,
    "USERNAME": USERNAME,
    "SECRET": SECRET,
}


def _family(type: str, key: Key) -> Family:  # noqa: A002
    shape = key.shapes.get(type)
    return _FAMILIES.get(type, PATTERN) if shape is None else shape_family(shape)


ALIASES = {
    "SHIFTED_DATE": "DATE_TIME",
    "SURROGATE_AGE": "AGE",
    "NRP": "ORGANIZATION",
    "DATE_OF_BIRTH": "DATE_TIME",
    "ZA_MOBILE_NUMBER": "PHONE_NUMBER",
    "ZA_TELEPHONE_NUMBER": "PHONE_NUMBER",
    POSSIBLE_PERSON: "PERSON",
}
"""Types that get the surrogates of another."""

_NAMES = (PERSON, LOCATION, ORGANIZATION, ADDRESS)
_CONFUSABLE = ((EMAIL, URL, IP), (_FAMILIES["US_SSN"], _FAMILIES["US_ITIN"]))

_MARKERS = frozenset(
    compact(value)
    for value in word_list(
        "078051120 219099999 123456789 987654320 4111111111111111 4242424242424242 "
        "4012888888881881 5555555555554444 5105105105105100 378282246310005 371449635398431 "
        "6011111111111117 6011000990139424 30569309025904 3530111333300000 "
        "GB82WEST12345698765432 GB29NWBK60161331926819 DE89370400440532013000 "
        "FR1420041010050500013M02606 22.214.171.124 126.96.36.199 188.8.131.52 184.108.40.206 "
        "220.127.116.11 18.104.22.168 00000000000000000000000000000000 AB1234563 9434765919"
    )
)
_MARKER = re.compile(r"\b555-?01\d\d\b|^(?:email|user|firstname\.lastname)@example\.")

SAMPLE_VALUES = {
    "PERSON": "Mara Lindell",
    "LOCATION": "Springfield",
    "ADDRESS": "123 Main Street, Springfield",
    "ORGANIZATION": "Lindell Hospital",
    "EMAIL_ADDRESS": "mara.lindell@lindell.com",
    "URL": "https://www.lindell.com/",
    "PHONE_NUMBER": "(212) 664-7665",
    "DATE_TIME": "2009-03-14",
    "AGE": "47",
    "CREDIT_CARD": "4539 5787 6362 1486",
    "IBAN_CODE": "DE75 5121 0800 1245 1261 99",
    "IP_ADDRESS": "81.2.69.160",
    "MAC_ADDRESS": "a4:83:e7:2b:90:1c",
    "UUID": "7d44484f-9dc0-4d1f-a245-5ffdce74fad2",
    "US_SSN": "536-90-4399",
    "US_ITIN": "912-70-1234",
    "US_PASSPORT": "340020013",
    "US_DRIVER_LICENSE": "D1234562",
    "US_BANK_NUMBER": "0001247890",
    "UK_NHS": "943 476 5870",
    "MEDICAL_LICENSE": "BS5927683",
    "CRYPTO": "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "ZIP_CODE": "62704",
    "SECRET": "k7Gq2ZpX9sLw4TbN8vRc",
    "USERNAME": "mlindell47",
    "ID": "48215907",
}
"""For each type a value, whose shape the surrogates of markers get that stand for that type."""


def surrogate(
    value: str,
    type: str,  # noqa: A002 (the field's name)
    key: Key,
    document: str | int = 0,
    days: int | None = None,
) -> str:
    """The surrogate of a value of this type.

    document: decides how far dates move; nothing else depends on it. days: that shift, if it is
    known (`dates.shift` finds one that the document's dates can be recognised by).

    The surrogate is not the value, does not contain it and is no value that known scrubbers put in
    its place. Exceptions: an IPv6 prefix may be part of its surrogate; an age may stay; so do years
    and months, if `days` is 0, and words such as "yesterday". A type without a family of its own
    keeps the class of each character. Raises NoSurrogate where no draw is acceptable.
    """
    type = ALIASES.get(type, type)  # noqa: A001
    bare = value.strip()
    if bare != value and bare:
        ahead = value[: len(value) - len(value.lstrip())]
        behind = value[len(value.rstrip()) :]
        return ahead + surrogate(bare, type, key, document, days) + behind
    if type == "DATE_TIME":
        return _date_shifted(value, key, dates.usual_shift(key, document) if days is None else days)
    return _drawn(type, key, value, _family(type, key).canonical(value))


def marker_surrogate(
    type: str,  # noqa: A002
    key: Key,
    marker: str,
    document: str | int,
    days: int = 0,
) -> str | None:
    """A surrogate for a de-identification marker that stands for this type; None if there is no
    shape for it. Equal markers of a document have equal surrogates; those of two documents differ,
    because the numbers in markers start anew in each.
    """
    shape = SAMPLE_VALUES.get(type)
    if shape is None:
        return None
    if type == "DATE_TIME":
        return _date_shifted(marker_date(key, marker, document), key, days)
    if type == "AGE":
        shape = str(20 + key.number(66, "stand-in age", document, marker))
    return _drawn(type, key, shape, f"{document} {marker}")


def marker_date(key: Key, marker: str, document: str | int) -> str:
    """The date that a marker stands for, made up, before the document's dates are shifted."""
    drawn = key.number(7305, "stand-in date", document, marker)  # 1995 to 2014
    dated = dates.parse("1995-01-01")
    return "" if dated is None else dates.shifted(dated, drawn)


@lru_cache(maxsize=CACHE_SIZE)
def is_surrogate(value: str, type: str, key: Key) -> bool:  # noqa: A002
    """Whether the value is one that `surrogate` gives under this key.

    Types that detectors confuse are looked at together: the names of people, locations and
    organizations; hosts and what holds one; SSNs and ITINs. A date is not recognised alone: see
    `dates.are_shifted`.
    """
    value, type = value.strip(), ALIASES.get(type, type)  # noqa: A001
    return any(family.recognizes(key, value) for family in _possible(value, type, key))


def _possible(value: str, type: str, key: Key) -> tuple[Family, ...]:  # noqa: A002
    """The families that a surrogate of this type may belong to."""
    if type == "DATE_TIME":
        return () if dates.parse(value) is not None else (PATTERN,)
    family = _family(type, key)
    if family in _NAMES:
        return (*_NAMES, PATTERN)
    if not family.accepts(value):
        return (PATTERN,)
    return next((group for group in _CONFUSABLE if family in group), (family,))


def _date_shifted(value: str, key: Key, days: int) -> str:
    dated = dates.parse(value)
    if dated is not None:
        return dates.shifted(dated, days) if days else value
    if not any(map(str.isdigit, value)):
        return value
    return _drawn("DATE_TIME", key, value, value)


@lru_cache(maxsize=CACHE_SIZE)
def _drawn(type: str, key: Key, value: str, seed: str) -> str:  # noqa: A002
    """The first acceptable draw, of the type's family or else of the shape alone."""
    family = _family(type, key)
    for chosen in (family, PATTERN) if family.accepts(value) else (PATTERN,):
        for attempt in range(MAX_ATTEMPTS):
            out = chosen.draw(key, value, seed, attempt)
            if out is not None and _is_acceptable(out, type, key, value):
                return out
            if out is None and attempt == 0 and chosen in _NAMES:
                break
    raise NoSurrogate(f"no surrogate of type {type} was found in {MAX_ATTEMPTS} draws")


def _is_acceptable(out: str, type: str, key: Key, value: str) -> bool:  # noqa: A002
    if not is_surrogate(out, type, key):
        return False
    if type in _FAMILIES and _FAMILIES[type].generalises:
        return True
    before, after = compact(value).casefold(), compact(out).casefold()
    contained = type != "IP_ADDRESS" and len(before) > 3 and before in after  # all begin 2001:db8
    if before == after or contained:
        return False
    return compact(out) not in _MARKERS and not _MARKER.search(out)
