r"""Numbers and addresses that only look like somebody's: what Presidio finds and nobody means.

A table of numbers is full of ten digits that some country dials, and `a[1::2]` holds an IPv6
address. What these rules refuse is no finding, unless `Config.compatible` asks for Presidio's
answer as it is. They look at a finding and at its own line, so that any run of whole lines can be
searched alone.
"""

import ipaddress
from collections.abc import Callable, Mapping

import regex

MOST_DIGITS = 17
"""Of a phone number with its country code and an extension: fifteen (ITU-T E.164), and two."""

NEAR = 60
"""Characters before a number in which a word may say what it is."""

_PHONE_WORDS = (
    *("phone", "telephone", "tel", "telefon", "telephon", "telefono", "teléfono", "téléphone"),
    *("telefone", "telefoon", "call", "calls", "called", "calling", "dial", "ring", "cell", "cel"),
    *(
        "cellular",
        "celular",
        "mobile",
        "mobil",
        "mobiltelefon",
        "handy",
        "móvil",
        "portable",
        "fax",
    ),
    *("telefax", "hotline", "whatsapp", "sms", "text", "texted", "contact", "ph", "mob", "msisdn"),
    *("pager", "appelez", "llame", "llamar", "anrufen", "rufen", "rufnummer", "ligue", "chiama"),
    *("тел", "телефон", "моб", "звоните", "هاتف", "جوال", "טלפון", "โทร", "điện", "thoại"),
)
_PHONE_CHARACTERS = "电电话话電話携帯手机致电☎☏📞📱✆전화휴대폰"

_speaks_of_phones = regex.compile(
    rf"(?<!\p{{L}})(?:{'|'.join(_PHONE_WORDS)})(?:number|no|nr|num|nummer|num)?s?(?!\p{{L}})"
    rf"|[{_PHONE_CHARACTERS}]",
    regex.IGNORECASE,
)
_camel = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})|_")

_decimal = regex.compile(r"\d+\.\d+")
_thousands = regex.compile(r"\d{1,3}(?:([ .\u00a0\u2009\u202f])\d{3})(?:\1\d{3})*")
_dotted = regex.compile(r"\d+(?:\.\d+){3,}")
_pairs = regex.compile(r"\d\d(?:\.\d\d){4}")


def is_phone_like(text: str, start: int, end: int) -> bool:
    """Whether the digits text[start:end] may be a phone number, by their shape and their line.

    With a plus sign they may. Without, they are none where they are a decimal number, an object
    identifier or a row of a table; and digits in one run, or in thousands, are one only where a
    word before them says so.
    """
    found = text[start:end]
    if found[0] in "+\uff0b(" or "+" in found:
        return True
    digits = sum(map(str.isdigit, found))
    if digits > MOST_DIGITS or _decimal.fullmatch(found):
        return False
    if _dotted.fullmatch(found) and not _pairs.fullmatch(found):
        return False
    bare = digits == len(found) or _thousands.fullmatch(found)
    return not bare or _is_named(text, start)


def _is_named(text: str, start: int) -> bool:
    """Whether a word on the same line, shortly before `start`, speaks of phones."""
    line = max(text.rfind("\n", 0, start) + 1, start - NEAR)
    before = _camel.sub(" ", text[line:start])
    return _speaks_of_phones.search(before) is not None


_version = regex.compile(r"(?i)(?:\bv|\bversions?|\bver\.?|\brelease|[=<>~^]=)[\s:=\"']*$")
_hex_group = regex.compile("[0-9a-f]+", regex.IGNORECASE)
SHORT_ADDRESS = 2
"""Groups of an IPv6 address that is taken for a slice if they are short."""


def is_address_like(text: str, start: int, end: int) -> bool:
    """Whether text[start:end], which parses as an IP address, is one of a machine."""
    found = text[start:end].strip("[]").partition("%")[0].partition("/")[0]
    if ":" in found:
        groups = _hex_group.findall(found)
        long = any(len(group) > SHORT_ADDRESS and not group.isdigit() for group in groups)
        return long or len(groups) > SHORT_ADDRESS
    before, behind = text[max(0, start - 12) : start], text[end : end + 2]
    if regex.search(r"\d\.$", before) or regex.match(r"\.\d", behind):
        return False  # an object identifier, or a version of five parts
    if _version.search(before):
        return False
    return not _is_of_no_machine(found)


def _is_of_no_machine(found: str) -> bool:
    """Whether an IPv4 address is a netmask, or of a range in which no machine is."""
    try:
        address = ipaddress.IPv4Address(found)
    except ValueError:
        return False
    bits = ~int(address) & 0xFFFFFFFF
    is_mask = bits & (bits + 1) == 0 and int(address) >> 31 == 1
    first = int(address) >> 24
    return is_mask or first == 0 or address.is_loopback or address.is_multicast or first >= 240


_speaks_of_patients = regex.compile(r"\b(?:nhs|patient|health)\b", regex.IGNORECASE)


def is_number_like(text: str, start: int, end: int) -> bool:
    """Whether a number that one in eleven passes for is written in groups, or named before it."""
    if not text[start:end].isdigit():
        return True
    line = max(text.rfind("\n", 0, start) + 1, start - NEAR)
    return _speaks_of_patients.search(text, line, start) is not None


FEWEST_DIGITS = 4
"""Of a driver's license; "License v2" is none."""


def is_license_like(text: str, start: int, end: int) -> bool:
    """Whether what a context word made a driver's license has as many digits as one."""
    digits = sum(map(str.isdigit, text[start:end]))
    return digits >= FEWEST_DIGITS and is_code_like(text, start, end)


_element = regex.compile(r"(?:^|[(\[{,;=]) ?-?$")


def is_code_like(text: str, start: int, end: int) -> bool:
    """Whether a number of a person stands alone: in no longer word, in no list of numbers."""
    before, behind = text[max(0, start - 3) : start], text[end : end + 1]
    if (before[-1:].isascii() and before[-1:].isalnum()) or (behind.isascii() and behind.isalnum()):
        return False
    is_listed = _element.search(before) and behind in (",", ")", "]", "}", ";")
    return not (is_listed and text[start:end].isdigit())


def is_mailbox_like(text: str, start: int, end: int) -> bool:
    """Whether an address is one of mail, and no login to a host with a path behind it."""
    is_path = text[end : end + 1] == ":" and regex.match(r"[\w./~-]", text[end + 1 : end + 2])
    return not (is_path and text[start:end].partition("@")[0].lower() in ("git", "hg", "svn"))


PLAUSIBLE: Mapping[str, Callable[[str, int, int], bool]] = {
    **dict.fromkeys(("MEDICAL_LICENSE", "US_BANK_NUMBER", "US_PASSPORT"), is_code_like),
    "EMAIL_ADDRESS": is_mailbox_like,
    "IP_ADDRESS": is_address_like,
    "US_DRIVER_LICENSE": is_license_like,
    "UK_NHS": is_number_like,
}
"""By entity, of what is found whether it is kept. Phone numbers are refused before they are asked
for (pii.phones)."""


EMAIL = (
    r"(?<![\p{Latin}\p{N}\p{M}_.+%-])"
    r"[a-z0-9](?:[a-z0-9._%+-]{0,62}[a-z0-9_%+-])?@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}"
    r"[a-z]{2,24}(?![\p{Latin}\p{N}\p{M}_-])"
)
"""An address in ASCII: without letters of another script, which `\\w` runs together with it, and
without the rest of a URL in which it stands behind a "=" or "/"."""

_ESCAPE = regex.compile(r"(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[nrtbfv0])")


def behind_escape(text: str, start: int, end: int) -> int:
    r"""Where what was found at text[start:end] begins: behind its first letter, if that is one of
    an escape such as \n in a string of code.
    """
    back = start
    while back > 0 and text[back - 1] == "\\":
        back -= 1
    if (start - back) % 2 == 0:
        return start
    escape = _ESCAPE.match(text, start, end)
    return start if escape is None else min(escape.end(), end - 1)
