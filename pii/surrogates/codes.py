"""Surrogates of numbers and codes: cards, accounts, identifiers, secrets, and whatever has no
family of its own.

A code is its letters and digits; what stands between them is kept. Its *body* is the code without
its check digits, and a list of alphabets, one for each position of the body, make its domain.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from unrote.pii.keys import Key
from unrote.pii.surrogates.family import Family, word_list
from unrote.pii.surrogates.keyed_subset import Subset, check_bits

DIGITS = string.digits
UPPER = string.ascii_uppercase
LOWER = string.ascii_lowercase
_OTHER_SCRIPTS = (
    "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ",
    "абвгдежзиклмнопрстуфхцчшщыэюя",
    "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "אבגדהוזחטיכלמנסעפצקרשת",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
)

Alphabets = Sequence[str]


def domain_size(alphabets: Alphabets) -> int:
    """The number of bodies that the alphabets have, one for each position."""
    size = 1
    for alphabet in alphabets:
        size *= len(alphabet)
    return size


def code_at(index: int, alphabets: Alphabets) -> str:
    """The body with this index in the domain."""
    chars = []
    for alphabet in reversed(alphabets):
        index, digit = divmod(index, len(alphabet))
        chars.append(alphabet[digit])
    return "".join(reversed(chars))


def index_of(body: str, alphabets: Alphabets) -> int | None:
    """The index of a body in the domain; None if it is not in it."""
    if len(body) != len(alphabets):
        return None
    index = 0
    for char, alphabet in zip(body, alphabets, strict=True):
        digit = alphabet.find(char)
        if digit < 0:
            return None
        index = index * len(alphabet) + digit
    return index


def compact(value: str) -> str:
    """The letters and digits of a value."""
    return "".join(filter(str.isalnum, value))


def formatted_like(value: str, code: str) -> str:
    """The value with its letters and digits replaced by those of `code`, in order.

    What `code` has too many follows the last one.
    """
    chars = iter(code)
    out = [next(chars) if char.isalnum() else char for char in value]
    rest = "".join(chars)
    last = max((at for at, char in enumerate(value) if char.isalnum()), default=len(value) - 1)
    return "".join(out[: last + 1]) + rest + "".join(out[last + 1 :])


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of code. The functions take and give compact codes."""

    name: str
    alphabets: Callable[[str], Alphabets | None]
    """Those of the surrogates of this code; None if it is not of this kind."""
    body: Callable[[str], str] = str
    """The code without its check digits."""
    whole: Callable[[str, str], str | None] = lambda body, _: body
    """(body, a code of this kind) -> the code with its check digits; None if it is not valid."""
    reserved: bool = False
    """No real value has such a body."""
    upper: bool = False
    """This kind of code has no lower case."""

    def subset(self, key: Key, alphabets: Alphabets) -> Subset:
        size = domain_size(alphabets)
        return Subset(key, self.name, size, check_bits(size, self.reserved))

    def canonical(self, value: str) -> str:
        code = compact(value)
        return code.upper() if self.upper else code

    def draw(self, key: Key, value: str, seed: str, attempt: int) -> str | None:
        code = self.canonical(value)
        alphabets = self.alphabets(code)
        if alphabets is None:
            return None
        body = code_at(self.subset(key, alphabets).drawn(seed, attempt), alphabets)
        whole = self.whole(body, code)
        if whole is None:
            return None
        if self.upper and not any(map(str.isupper, value)):
            whole = whole.lower()
        return formatted_like(value, whole)

    def recognizes(self, key: Key, value: str) -> bool:
        code = self.canonical(value)
        alphabets = self.alphabets(code)
        if alphabets is None:
            return False
        body = self.body(code)
        index = index_of(body, alphabets)
        if index is None or self.whole(body, code) != code:
            return False
        return self.subset(key, alphabets).contains(index)

    def family(self) -> Family:
        return Family(self.name, self.draw, self.recognizes, self.accepts, self.canonical)

    def accepts(self, value: str) -> bool:
        return self.alphabets(self.canonical(value)) is not None


def is_digits(code: str) -> bool:
    return code.isascii() and code.isdigit()


# Payment cards (ISO/IEC 7812-1): the first two digits, which tell the network, stay.


def luhn(body: str) -> str:
    """The digit that makes a number valid (ISO/IEC 7812-1, annex B)."""
    total = 0
    for index, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def _card_alphabets(code: str) -> Alphabets | None:
    if not is_digits(code) or not 12 <= len(code) <= 19:
        return None
    return [code[0], code[1], *[DIGITS] * (len(code) - 3)]


CARD = Code("card", _card_alphabets, lambda code: code[:-1], lambda body, _: body + luhn(body))


# IBAN (ISO 13616-1): country and kind of each character stay, the check digits are computed.


def iban_check(country: str, account: str) -> str:
    """The two digits that make an IBAN valid (ISO/IEC 7064, MOD 97-10)."""
    number = int("".join(str(int(char, 36)) for char in account + country + "00"))
    return f"{98 - number % 97:02d}"


def _iban_alphabets(code: str) -> Alphabets | None:
    if not (15 <= len(code) <= 34 and code.isascii()):
        return None
    if not (code[:2].isalpha() and code[2:4].isdigit()):
        return None
    return [DIGITS if char.isdigit() else UPPER for char in code[4:]]


IBAN = Code(
    "iban",
    _iban_alphabets,
    lambda code: code[4:],
    lambda body, code: code[:2] + iban_check(code[:2], body) + body,
    upper=True,
)


# US taxpayers. No area of 900 and above was ever assigned as a social security number; of those,
# the groups of ITINs are 50-65, 70-88, 90-92 and 94-99, and 93 is for adoptions (IRS Publication
# 1915).


def _nine(groups: tuple[str, str]) -> Callable[[str], Alphabets | None]:
    alphabets = ["9", DIGITS, DIGITS, *groups, *[DIGITS] * 4]
    return lambda code: alphabets if is_digits(code) and len(code) == 9 else None


def _assignable(body: str, _: str) -> str | None:
    return None if body[3:5] == "00" or body[5:] == "0000" else body


SSN = Code("ssn", _nine(("01234", DIGITS)), whole=_assignable, reserved=True)
ITIN = Code("itin", _nine(("6", "6789")), whole=_assignable, reserved=True)


# NHS numbers that begin with 999 are for tests.


def nhs_check(body: str) -> str | None:
    """The last digit of an NHS number (mod 11); None if the nine before it cannot be used."""
    digit = -sum(int(char) * weight for char, weight in zip(body, range(10, 1, -1), strict=True))
    return None if digit % 11 == 10 else str(digit % 11)


def _nhs_whole(body: str, _: str) -> str | None:
    check = nhs_check(body)
    return None if check is None else body + check


NHS = Code(
    "nhs",
    lambda code: ["9"] * 3 + [DIGITS] * 6 if is_digits(code) and len(code) == 10 else None,
    lambda code: code[:-1],
    _nhs_whole,
    reserved=True,
)


# DEA registration numbers: two letters, six digits and a check digit.

_REGISTRANTS = "ABCDEFGHJKLMPRSTUX"


def dea_check(digits: str) -> str:
    """The last digit of a DEA number."""
    odd, even = sum(map(int, digits[0::2])), sum(map(int, digits[1::2]))
    return str((odd + 2 * even) % 10)


def _dea_alphabets(code: str) -> Alphabets | None:
    if len(code) != 9 or not code.isascii() or not code[:1].isalpha() or not code[2:].isdigit():
        return None
    return [_REGISTRANTS, DIGITS if code[1].isdigit() else UPPER, *[DIGITS] * 6]


DEA = Code(
    "dea",
    _dea_alphabets,
    lambda code: code[:-1],
    lambda body, _: body + dea_check(body[2:]),
    upper=True,
)


# ZIP codes with a prefix that the Postal Service does not use. Five digits leave no room for a
# check among the prefixes in use.

_UNUSED = word_list(
    "003 213 269 343 345 348 353 419 428 429 517 518 519 529 533 536 552 568 578 579 589 621 632 "
    "642 643 663 682 694 695 696 697 698 699 702 709 715 732 742 771 817 818 819 839 848 849 854 "
    "858 861 862 866 867 868 869 872 876 886 887 888 892 896 899 909 929 987"
)


class _Zip(Code):
    """The index is that of the prefix, then the other digits."""

    def accepts(self, value: str) -> bool:
        code = compact(value)
        return is_digits(code) and len(code) in {5, 9}

    def draw(self, key: Key, value: str, seed: str, attempt: int) -> str | None:
        code = compact(value)
        if not self.accepts(value):
            return None
        rest = [DIGITS] * (len(code) - 3)
        index = self._subset(key, rest).drawn(seed, attempt)
        prefix, index = divmod(index, domain_size(rest))
        return formatted_like(value, _UNUSED[prefix] + code_at(index, rest))

    def recognizes(self, key: Key, value: str) -> bool:
        code = compact(value)
        if not self.accepts(value) or code[:3] not in _UNUSED:
            return False
        rest = [DIGITS] * (len(code) - 3)
        index = index_of(code[3:], rest) or 0
        return self._subset(key, rest).contains(_UNUSED.index(code[:3]) * domain_size(rest) + index)

    def _subset(self, key: Key, rest: Alphabets) -> Subset:
        size = len(_UNUSED) * domain_size(rest)
        return Subset(key, self.name, size, check_bits(size, reserved=True))


ZIP = _Zip("zip", lambda _: None)


# MAC addresses in the reserved quarter of the locally administered ones (IEEE 802c, x6), and UUIDs
# of the version and variant of the original (RFC 9562).

_HEX = "0123456789ABCDEF"


def _is_hex(code: str) -> bool:
    return all(char in _HEX for char in code)


MAC = Code(
    "mac",
    lambda code: (
        [_HEX, "6", *[_HEX] * (len(code) - 2)] if len(code) in {12, 16} and _is_hex(code) else None
    ),
    upper=True,
)


def _uuid_alphabets(code: str) -> Alphabets | None:
    if len(code) != 32 or not _is_hex(code):
        return None
    variant = "89AB" if code[16] in "89AB" else code[16]
    return [*[_HEX] * 12, code[12], *[_HEX] * 3, variant, *[_HEX] * 15]


UUID = Code("uuid", _uuid_alphabets, upper=True)


# Anything else: a digit for a digit, a letter for a letter of its case and script.

CHECKED = 20
"""The first of the positions with more than one character carry the check, so many of them; the
others are drawn without it."""

ESCAPE = re.compile(
    r"\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)"
    r"|%(?:[0-2][0-9A-Fa-f]|[357][B-Fb-f]|3[Aa]|[46]0|[89A-Fa-f][0-9A-Fa-f])"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});|\uffff",
    re.DOTALL,
)
"""Escapes of strings in code and JSON, of URLs and of HTML for what is no letter: their letters and
digits are none of a value."""

_ESCAPED = "\uffff"  # a noncharacter

MIN_DOMAIN = 1 << 22
"""A shorter code grows until its domain is as large: with fewer, either real codes would be taken
for surrogates too often or scrubbing twice would change text."""


@cache
def alphabet_of(char: str) -> str:
    """The characters that may replace this one; itself alone if none may."""
    for alphabet in (DIGITS, UPPER, LOWER, *_OTHER_SCRIPTS):
        if char in alphabet:
            return alphabet
    if not char.isalnum():
        return char
    category = unicodedata.category(char)
    span = 512 if ord(char) >= 0x3400 else 128  # ideographs and syllables have large blocks
    first = ord(char) // span * span
    block = map(chr, range(max(first, 128), first + span))
    return "".join(
        other
        for other in block
        if unicodedata.category(other) == category
        and other.isalnum()
        and _is_stable(other) == _is_stable(char)
    )


def _is_stable(char: str) -> bool:
    """Whether normalisation leaves a character as it is: not so with digits of full width."""
    return unicodedata.normalize("NFKC", char) == char


def _is_hexadecimal(code: str) -> bool:
    return (
        len(code) >= 16
        and any(map(str.isdigit, code))
        and any(map(str.isalpha, code))
        and _is_hex(code.upper())
    )


def _pattern_alphabets(code: str) -> list[str]:
    """Of a number the first digit stays zero or not: 0123 is no number in JSON and in code."""
    if _is_hexadecimal(code):
        return [DIGITS if s.isdigit() else "ABCDEF" if s.isupper() else "abcdef" for s in code]
    alphabets = [alphabet_of(char) for char in code]
    if is_digits(code):
        alphabets[0] = "0" if code[0] == "0" else DIGITS[1:]
    return alphabets


def _head(alphabets: Sequence[str]) -> int:
    """How many of the first positions hold the checked ones, and enough values to tell them by."""
    free = 0
    for at, alphabet in enumerate(alphabets):
        if free >= CHECKED and domain_size(alphabets[:at]) >= MIN_DOMAIN:
            return at
        free += len(alphabet) > 1
    return len(alphabets)


def _pattern_subset(key: Key, alphabets: Alphabets) -> Subset:
    size = domain_size(alphabets)
    return Subset(key, "pattern", size, check_bits(size, reserved=False))


def _pattern_draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    plain, escapes = _without_escapes(value)
    code = compact(plain)
    alphabets = _pattern_alphabets(code)
    while domain_size(alphabets) < MIN_DOMAIN:
        if is_digits(code):
            alphabets.append(DIGITS)
        else:
            alphabets.append(alphabets[-1] if alphabets and len(alphabets[-1]) > 1 else LOWER)
    head = _head(alphabets)
    checked = alphabets[:head]
    out = code_at(_pattern_subset(key, checked).drawn(seed, attempt), checked)
    for start in range(head, len(alphabets), 16):
        rest = alphabets[start : start + 16]
        out += code_at(key.number(domain_size(rest), "rest", seed, attempt, start), rest)
    written = formatted_like(plain, out) if code else out + plain  # "\\" would make an escape
    if not escapes:
        return written
    return "".join(map("".join, zip(written.split(_ESCAPED), [*escapes, ""], strict=True)))


def _without_escapes(value: str) -> tuple[str, list[str]]:
    """The value with one sign in the place of each escape, and these."""
    return ESCAPE.sub(_ESCAPED, value), [match[0] for match in ESCAPE.finditer(value)]


def _pattern_canonical(value: str) -> str:
    return compact(_without_escapes(value)[0])


def _pattern_recognizes(key: Key, value: str) -> bool:
    code = _pattern_canonical(value)
    alphabets = _pattern_alphabets(code)
    alphabets = alphabets[: _head(alphabets)]
    if domain_size(alphabets) < MIN_DOMAIN:
        return False
    index = index_of(code[: len(alphabets)], alphabets)
    return index is not None and _pattern_subset(key, alphabets).contains(index)


PATTERN = Family("pattern", _pattern_draw, _pattern_recognizes, bool, _pattern_canonical)
