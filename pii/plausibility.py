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

FEWEST_PHONE_DIGITS = 7
"""Of a phone number that no word says to be one."""

NEAR = 60
"""Characters before a number in which a word may say what it is."""

_PHONE_WORDS = (
    *("phone", "telephone", "tel", "telefon", "telephon", "telefono", "teléfono", "téléphone"),
    *("telefone", "telefoon", "dial", "cellular", "celular", "mobil", "mobiltelefon", "móvil"),
    *("fax", "telefax", "hotline", "whatsapp", "sms", "texted", "msisdn", "pager", "appelez"),
    *("llame", "llamar", "anrufen", "rufen", "rufnummer", "chiama"),
    *("тел", "телефон", "моб", "звоните", "هاتف", "جوال", "טלפון", "โทร", "điện", "thoại"),
)
_COMMON_WORDS = (
    *("call", "calls", "called", "calling", "ring", "cell", "cel", "mobile", "handy", "portable"),
    *("text", "contact", "ph", "mob", "ligue"),
)
"""They say so only right before a number, or of somebody: "text me at"; else there are cells of
tables, ring buffers, and texts."""
_BETWEEN = (
    *("me", "us", "him", "her", "them", "at", "on", "to", "or", "is", "now", "number", "no", "the"),
    *("my", "his", "our", "your", "their", "please", "mr", "mrs", "ms", "dr", "back", "support"),
)
_PHONE_SIGNS = (
    *("电话", "電話", "电话号码", "手机", "手機", "携帯", "致电", "致電", "拨打", "전화", "휴대폰"),
    *("☎", "☏", "📞", "📱", "✆"),
)

_suffix = r"(?:number|no|nr|num|nummer|num)?s?(?!\p{L})"
_speaks_of_phones = regex.compile(
    rf"(?<!\p{{L}})(?:{'|'.join(_PHONE_WORDS)}){_suffix}|{'|'.join(_PHONE_SIGNS)}"
    rf"|(?<![\p{{L}}-])(?:{'|'.join(_COMMON_WORDS)}){_suffix.replace('s?', '')}"
    rf"(?:[^\p{{L}}\d]{{1,3}}(?:{'|'.join(_BETWEEN)})(?!\p{{L}}))*[^\p{{L}}\d]{{0,4}}$",
    regex.IGNORECASE,
)
_words = (*_PHONE_WORDS, *_COMMON_WORDS)
PHONE_STEMS = tuple(
    word for word in _words if not any(one in word for one in _words if one != word)
)
"""One of these is in each of the words."""
_camel = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})|_")

_decimal = regex.compile(r"\d+\.\d+")
_signed_decimal = regex.compile(r"\+\d+\.\d{1,5}|\+\d{4,}\.\d+")  # +1.2125551234 is a number
_bracketed_decimal = regex.compile(r"\(\d*\.\d+\)")
_trunk = regex.compile(r"\+[2-689]\.\d+")  # countries have two digits, but for 1 and 7
_added = regex.compile(r"[\p{L}\d.)\]²³]\Z")  # "x+2.5"
_added_apart = regex.compile(r"[\p{L}\d)\]] \Z")  # "y + 80"
_in_code = regex.compile(r"\w\Z")
_exponent = regex.compile(r"[\d.][eE]$")  # 1.66e+02 and what follows in its row
_factor = regex.compile(r"[\p{L}\d)\]]\*{1,2}$")
_times = regex.compile(r"\*{1,2}[\p{L}\d(]")
_thousands = regex.compile(r"\d{1,3}(?:([ .\u00a0\u2009\u202f])\d{3})(?:\1\d{3})*")
_dotted = regex.compile(r"\d+(?:\.\d+){3,}(?:/\d+)?")
_ends_in_word = regex.compile(r"\p{L}-$")
_before_dot = regex.compile(r"\d\.")
_behind_dot = regex.compile(r"\.\d")
_pairs = regex.compile(r"\d\d(?:\.\d\d){4}")
_no_number = regex.compile(
    r"(?:19|20)\d\d-(?:0\d|1[0-2])-[0-3]\d|\b\d\d[-./]\d\d[-./](?:19|20)\d\d\b"  # dates
    r"|\b[0-3]?\d\.(?:0?\d|1[0-2])\.(?:19|20)\d\d"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b(?![. ])"  # an IP address
    r"|\.\d{5,}|\.\.|\. |^[\[\]]"  # decimals, ranges, lists
    r"|(?<![\d.])\d+\.\d+(?![\d.])[ /-]|[ /]\d+\.\d+(?![\d.])|\b\d/\d\b"  # and fractions
    r"|^[1-9]\d*/\d+$|^[1-9]\d* [-–—~] \d+$|^0 "
    r"|^\d{1,5} ?x ?\d{1,5}$"  # a size
    r"|(?:^|[ -])\d(?:[ -]+\d(?!\d)){2,}"
    r"|\s{3}|^(?!0\d(?: \d\d){4}$)(?:\d+(?: +\d+){4,}|\d{1,3}(?: +\d{1,3}){3,})$"  # a table
    r"|^\d{5}-\d{4}$"  # a postal code
    r"|\((?:1[6-9]|20)\d\d\)|\d[-–]\d+ (?:1[6-9]|20)\d\d$|^\d{1,3} \d{3,4}[-–]\d{3,4}$"  # pages
    r"|\b\d{1,2} (?:19|20)\d\d\b|^(?:1[5-9]|20)\d\d[-–](?:1[5-9]|20)\d\d$"  # and years
    r"|^(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d-|^\d{6}-\d\d$"
    r"|^[1-9]\d{3,9} \d{1,3}$|^[1-9]\d{3}(?: \d+){3,}$|^[1-9].* \d{4,} \d{1,2}$|^\d \d "  # rows
    r"|^0[-–]|--|^\d \d+[-–]\d+$|^\(\d+(?: +\d+){3,}$"
    r"|^\d\.\d{1,2}\.\d{1,2}-"  # a version
)
"""What is in no phone number that no word says to be one."""
_of_book = regex.compile(r"\bis[bs]n\b.{0,40}$", regex.IGNORECASE)
_quad = regex.compile(r".?\d{1,3}(?:\.\d{1,3}){3}")
_before_longer = regex.compile(
    r"\p{L}[-.]$|(?:^|[\s(=\[])-$|/$|\d:$|(?<!\w)(?i:[a-f][\da-f]|\d[a-f])[ ,:]$"
)
_behind_longer = regex.compile(r"\.\p{L}|_|[ ,:](?i:[a-f][\da-f]|\d[a-f])(?!\w)")
_behind_path = regex.compile(r"\.\p{L}|_")


def is_phone_like(text: str, start: int, end: int) -> bool:
    """Whether the digits text[start:end] may be a phone number, by their shape and their line.

    With a plus sign they may, but behind an exponent's "e". Without, they are none where they are a
    decimal number, an object identifier or a row of a table; and digits in one run, in thousands,
    or in a product or power are one only where a word before them says so.
    """
    found = text[start:end]
    if "+" in found or "\uff0b" in found:
        return _is_international(text, start, found)
    is_dotted = _dotted.fullmatch(found.strip("()"))
    is_calculated = _is_calculated(text, start, end)
    if found[0] == "(" and ")" in found and not is_dotted and not is_calculated:
        return not _in_code.search(text, max(0, start - 1), start) or _is_named(text, start)
    digits = sum(map(str.isdigit, found))
    is_other = _decimal.fullmatch(found) or _is_in_decimal(text, start, end)
    if digits > MOST_DIGITS or is_other or _of_book.search(text, _near(text, start), start):
        return False
    is_doubtful = digits < FEWEST_PHONE_DIGITS or is_calculated or _no_number.search(found)
    if is_doubtful or _is_in_longer(text, start, end):
        return _is_named(text, start)
    if is_dotted and not _pairs.fullmatch(found):
        return False
    bare = digits == len(found.lstrip("(- ")) or _thousands.fullmatch(found)
    return not bare or _is_named(text, start)


def _is_international(text: str, start: int, found: str) -> bool:
    """Whether what has a plus sign is no decimal, exponent, network or sum."""
    beside = _exponent.search(text, max(0, start - 2), start)
    is_other = _signed_decimal.fullmatch(found) or _quad.fullmatch(found)
    is_other = is_other or _trunk.fullmatch(found)
    if beside is not None or is_other is not None:
        return False
    added = _added_apart if found[1:2].isspace() else _added
    return added.search(text, max(0, start - 2), start) is None or _is_named(text, start)


def _is_calculated(text: str, start: int, end: int) -> bool:
    """Whether digits are a factor or exponent (`3*10`, `s**3`), or a decimal in parentheses."""
    return bool(
        _factor.search(text, max(0, start - 3), start)
        or _times.match(text, end)
        or _bracketed_decimal.match(text, start, end)
    )


def _is_in_longer(text: str, start: int, end: int) -> bool:
    """Whether digits are a part of a word (`vm-2125551234`), of a path or a file's name
    (`help/01/05040400.xhp`), of a time or a number below zero, or of bytes in hexadecimal digits
    (`d2 04 0b 03 00 00 00 00`).
    """
    before = _before_longer.search(text, max(0, start - 4), start)
    return bool(before or _behind_longer.match(text, end))


def _is_in_decimal(text: str, start: int, end: int) -> bool:
    """Whether a dot and a digit go on before or behind."""
    before, behind = text[max(0, start - 2) : start], text[end : end + 2]
    return bool(_before_dot.fullmatch(before) or _behind_dot.fullmatch(behind))


def _is_named(text: str, start: int) -> bool:
    """Whether a word on the same line, shortly before `start`, speaks of phones."""
    before = text[_near(text, start) : start]
    if before.isascii() and not any(map(before.lower().__contains__, PHONE_STEMS)):
        return False  # of most numbers, and this is quick
    return _speaks_of_phones.search(_camel.sub(" ", before)) is not None


def _near(text: str, start: int) -> int:
    """The beginning of the line of `start`, or NEAR characters before it, whichever is later."""
    far = max(0, start - NEAR)
    return max(text.rfind("\n", far, start) + 1, far)


_version = regex.compile(r"(?i)(?:\bv|\bversions?|\bver\.?|\brelease|[=<>~^]=)[\s:=\"']*$")
_hex_group = regex.compile("[0-9a-f]+", regex.IGNORECASE)
SHORT_ADDRESS = 2
"""Groups of an IPv6 address that is taken for a slice if they are short."""


def is_address_like(text: str, start: int, end: int) -> bool:
    """Whether text[start:end], which parses as an IP address, is one of a machine.

    None are netmasks, networks with their mask, ranges without machines or for documentation,
    slices, object identifiers, versions, and numbers of sections.
    """
    found, _, mask = text[start:end].strip("[]").partition("%")[0].partition("/")
    if ":" in found:
        return _is_v6_like(found) and not _behind_path.match(text, end)
    if _is_in_decimal(text, start, end) or _version.search(text, max(0, start - 12), start):
        return False  # an object identifier, or a version
    if mask and _is_network(f"{found}/{mask}"):
        return False
    if _heads_line(text, start, end) or _section.search(text, max(0, start - 16), start):
        return False
    if _is_numbering(found) and not (mask or _port.match(text, end) or _on_net(text, start)):
        return False
    return not _is_of_no_machine(found)


def _is_v6_like(found: str) -> bool:
    """Whether an IPv6 address is no slice (`a[::2]`), and no word before a block of
    reStructuredText ("To enable, add::").
    """
    groups = _hex_group.findall(found)
    long = any(len(group) > SHORT_ADDRESS and not group.isdigit() for group in groups)
    is_word = found.endswith("::") and found[:-2].isalpha()
    return (
        (long or len(groups) > SHORT_ADDRESS) and not is_word and not _is_for_documentation(found)
    )


def _heads_line(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] begins its line and a dot and a title follow: a section's number."""
    line = text[_near(text, start) : start]
    return not line.strip(" \t#*") and _title.match(text, end) is not None


_title = regex.compile(r"\.[ \t\u00a0]+\p{L}")
_port = regex.compile(r":\d")
_net_words = regex.compile(
    r"(?i)(?<![\p{L}])(?:ips?|ipv4|addr|address|addresses|adresses?|adressen|hosts?|servers?|dns|"
    r"nameservers?|ping|inet|router|gateway|proxy|http|https|client|peer|from|connect\w*|bind|"
    r"listen|whois|subnet|login|visitor)(?![\p{L}])|//$"
)
_section = regex.compile(
    r"(?i)(?:(?<!\p{L})(?:see|sections?|chapter|appendix|siehe|abschnitt|kapitel|voir|véase|sección|"
    r"seção|vedi|sezione|zie)|§)[\s\u00a0(„“\"]*$"
)
MOST_OF_SECTION = 64
"""More parts than chapters have: 4.2.13.1 is a section, 81.2.69.142 none."""


def _is_numbering(found: str) -> bool:
    """Whether an IPv4 address may as well number a section or a version."""
    parts = [int(part) for part in found.split(".")]
    return max(parts) < MOST_OF_SECTION and parts[0] != 10


def _on_net(text: str, start: int) -> bool:
    """Whether a word on the same line, shortly before `start`, speaks of machines."""
    return _net_words.search(text, _near(text, start), start) is not None


def _is_network(found: str) -> bool:
    """Whether an address with its mask is that of a network, and of no machine in it."""
    try:
        ipaddress.IPv4Network(found)
    except ValueError:
        return False
    return not found.endswith("/32")


_DOCUMENTATION = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
    )
)
"""RFC 5737, RFC 3849 and RFC 9637."""


def _is_for_documentation(found: str) -> bool:
    try:
        address = ipaddress.ip_address(found)
    except ValueError:
        return False
    return any(address in network for network in _DOCUMENTATION)


def _is_of_no_machine(found: str) -> bool:
    """Whether an IPv4 address is a netmask, or of a range in which no machine is."""
    try:
        address = ipaddress.IPv4Address(found)
    except ValueError:
        return False
    if _is_for_documentation(found):
        return True
    bits = ~int(address) & 0xFFFFFFFF
    is_mask = bits & (bits + 1) == 0 and int(address) >> 31 == 1
    first = int(address) >> 24
    return is_mask or first == 0 or address.is_loopback or address.is_multicast or first >= 240


_digits_before = regex.compile(r"\d $")
_digits_behind = regex.compile(r" \d")
_speaks_of_cards = regex.compile(r"card|carte|karte|tarjeta|uatp", regex.IGNORECASE)
_speaks_of_patients = regex.compile(r"\b(?:nhs|patient|health)\b", regex.IGNORECASE)


def is_number_like(text: str, start: int, end: int) -> bool:
    """Whether a number that one in eleven passes for is written in groups, or named before it."""
    if _is_in_decimal(text, start, end):
        return False
    if not text[start:end].isdigit():
        return not (
            _digits_before.search(text, max(0, start - 2), start) or _digits_behind.match(text, end)
        )
    return _speaks_of_patients.search(text, _near(text, start), start) is not None


FEWEST_DIGITS = 4
"""Of a driver's license; "License v2" is none."""


_license = r"(?:licen[cs]es?|permits?|lic|identification)"
_driving = rf"driv(?:er|ing)['’]?s?[\s_-]{{0,3}}(?:{_license}|ids?)(?![a-z])"
_says_license = regex.compile(
    rf"{_driving}|\b(?:c?dls?|dln)\b|\blic#"
    rf"|\b{_license}(?:[\s:=#.\"']|\b(?:number|num|no|nr|id|is|was|card)\b)*$",
    regex.IGNORECASE,
)


def is_license_like(text: str, start: int, end: int) -> bool:
    """Whether what a context word made a driver's license has as many digits as one, and a license
    is spoken of: a driver alone may be one of devices ("Kernel driver pc87360").
    """
    digits = sum(map(str.isdigit, text[start:end]))
    if digits < FEWEST_DIGITS or not is_code_like(text, start, end):
        return False
    return _says_license.search(text, max(0, start - NEAR), start) is not None


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


_card_groups = regex.compile(r"\d{4}(?:[ -]\d{4}){2}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{4,5}")
_card_issuer = regex.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7]\d\d|6[0-9])\d{14}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11,16}|35\d{14,17}|6[0-9]\d{10,17}|5[06-8]\d{10,17}|1\d{14}"
)
"""Lengths of card numbers by their first digits (ISO/IEC 7812-1; the networks' own pages)."""


def is_card_like(text: str, start: int, end: int) -> bool:
    """Whether digits that pass the check are of an issuer's length and grouped as on cards."""
    found = text[start:end]
    if not found.isdigit() and not _card_groups.fullmatch(found):
        return False
    if _ends_in_word.search(text, max(0, start - 2), start):
        return False  # mpath-35333333000002328
    digits = "".join(filter(str.isdigit, found))
    if found[0] == "1" and not _speaks_of_cards.search(text, _near(text, start), start):
        return False  # few have cards of UATP, and many ids begin so
    return _card_issuer.fullmatch(digits) is not None and not _is_in_decimal(text, start, end)


PLAUSIBLE: Mapping[str, Callable[[str, int, int], bool]] = {
    **dict.fromkeys(("MEDICAL_LICENSE", "US_BANK_NUMBER", "US_PASSPORT"), is_code_like),
    "CREDIT_CARD": is_card_like,
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
