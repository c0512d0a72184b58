"""Secrets and values by their shapes: a small list that owes nothing to the product's detectors.

Each shape is one that nothing else has: a prefix that its issuer chose for that, or check digits.
What the list lacks it does not judge; what it finds is what it says.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

SECRET = "SECRET"  # noqa: S105 (the name of a type)

IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27,
    "GB": 22, "GR": 27, "HU": 28, "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28,
    "PT": 25, "RO": 24, "SE": 24,
}  # fmt: skip

NOBODYS = ("example.com", "example.org", "example.net", "example.edu", "example", "invalid", "test")
"""Domains that are kept free for documentation (RFC 2606)."""


class Shape(NamedTuple):
    """hint: what a text must hold before it is searched. group: of the match that is the value."""

    type: str
    hint: str
    pattern: re.Pattern[str]
    group: int = 0
    valid: Callable[[str], bool] = lambda _: True


def _json_header(token: str) -> bool:
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _somebodys(address: str) -> bool:
    domain = address.rpartition("@")[2].lower()
    return not any(domain == free or domain.endswith("." + free) for free in NOBODYS)


def _luhn(number: str) -> bool:
    digits = [int(c) for c in number if c.isdigit()]
    doubled = [d if n % 2 else sum(divmod(2 * d, 10)) for n, d in enumerate(reversed(digits), 1)]
    return sum(doubled) % 10 == 0 and len(set(digits)) > 2 and digits[:8] != [4] + 7 * [1]


def _iban(account: str) -> bool:
    plain = account.replace(" ", "").upper()
    if IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_ALONE, _ENDS = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"


def _token(hint: str, pattern: str) -> Shape:
    return Shape(SECRET, hint, re.compile(_ALONE + pattern + _ENDS))


SHAPES = (
    *(_token(f"gh{kind}_", rf"gh{kind}_[A-Za-z0-9]{{36}}") for kind in "pousr"),
    _token("github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _token("glpat-", r"glpat-[A-Za-z0-9_-]{20}"),
    _token("AKIA", r"AKIA[A-Z0-9]{9}(?!EXAMPLE)[A-Z0-9]{7}"),
    _token("ASIA", r"ASIA[A-Z0-9]{9}(?!EXAMPLE)[A-Z0-9]{7}"),
    _token("xox", r"xox[abprs]-[0-9]{8,14}-[A-Za-z0-9-]{10,80}"),
    _token("sk_live_", r"sk_live_[A-Za-z0-9]{24,99}"),
    _token("AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _token("npm_", r"npm_[A-Za-z0-9]{36}"),
    _token("pypi-", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,999}"),
    Shape(
        SECRET, "PRIVATE KEY-----",
        re.compile(r"-----BEGIN (?:[A-Z]{2,9} )?PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]{64,65536})"),
        group=1,
    ),
    Shape(
        SECRET, "eyJ",
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
        valid=_json_header,
    ),
    Shape(
        SECRET, "://",
        re.compile(
            r"(?<=://)[^\s/:@<>{}$\"'\[\]()*%`\\]{1,64}:([^\s/:@<>{}$\"'\[\]()*%`\\?#&;,]{4,64})"
            r"@[A-Za-z0-9]"
        ),
        group=1,
    ),
    Shape(
        "EMAIL_ADDRESS", "@",
        re.compile(
            # what stands before the host of a URL is a name or a password there
            r"://[^\s/@]{0,256}@|(?<![\w.+%/\\@-])([a-z0-9_+-]{1,64}(?:\.[a-z0-9_+-]{1,64}){0,8}@(?:[a-z0-9-]{1,63}\.){1,6}"
            r"(?:com|org|net|edu|gov|info|de|fr|nl|ch|eu|uk|ca|au|jp|se|dk|fi|pl|cz))"
            r"(?![\w@:/-]|\.\w)",
            re.IGNORECASE | re.ASCII,
        ),
        group=1,
        valid=_somebodys,
    ),
    Shape(
        "CREDIT_CARD", "",
        re.compile(
            r"(?<![\w.,+-])(?:(?:4\d{3}|5[1-5]\d\d|6011|65\d\d)([ -]?)\d{4}\1\d{4}\1\d{4}"
            r"|3[47]\d\d([ -]?)\d{6}\2\d{5})(?![\w-]|[.,]\d| \d)",
            re.ASCII,
        ),
        valid=_luhn,
    ),
    Shape(
        "IBAN_CODE", "",
        re.compile(
            _ALONE + rf"(?:{'|'.join(IBAN_LENGTHS)})\d\d"
            r"(?:(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?|[A-Z0-9]{11,24})" + _ENDS,
            re.ASCII,
        ),
        valid=_iban,
    ),
)  # fmt: skip


class Value(NamedTuple):
    """text[start:end] has a shape."""

    type: str
    start: int
    end: int


def values_in(text: str) -> Iterator[Value]:
    """What in a text has one of the shapes."""
    for shape in SHAPES:
        if shape.hint in text:
            for match in shape.pattern.finditer(text):
                if match[shape.group] is not None and shape.valid(match[shape.group]):
                    yield Value(shape.type, *match.span(shape.group))
