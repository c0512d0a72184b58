"""Surrogates of telephone numbers: valid in the country of the original, written as it was.

Country code +1: another area code of the same country and 555 with a line number from 2000 on. The
555 exchange was never opened to subscribers; 555-0100 to 555-0199 are what everybody invents, so
they are not used. Elsewhere no reserved range is large enough (Ofcom's hold 1,000 numbers each), so
the first digit of the national number stays and the others are drawn until the number is valid.
"""

from functools import cache, lru_cache
from typing import Any

from unrote.pii.keys import Key
from unrote.pii.surrogates.codes import DIGITS, Alphabets, code_at, domain_size, index_of
from unrote.pii.surrogates.family import Family, normalised, word_list
from unrote.pii.surrogates.keyed_subset import Subset, check_bits

REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
"""Where a number without a country code may be from, in this order (Presidio's list)."""

AREAS: dict[str, tuple[str, ...]] = {
    "US": word_list(
        "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 "
        "234 239 240 248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 "
        "308 309 310 312 313 314 315 316 317 318 319 320 321 323 325 330 331 334 336 337 339 347 "
        "351 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424 "
        "425 432 434 435 440 443 469 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 "
        "515 516 517 518 520 530 540 541 551 559 561 562 563 567 570 571 573 574 580 585 586 601 "
        "602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 623 626 630 631 636 641 "
        "646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 716 717 718 "
        "719 720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 "
        "802 803 804 805 806 808 810 812 813 814 815 816 817 818 828 830 831 832 843 845 847 848 "
        "850 856 857 858 859 860 862 863 864 865 870 901 903 904 906 907 908 909 910 912 913 914 "
        "915 916 917 918 919 920 925 928 931 936 937 940 941 947 949 951 952 954 956 970 971 972 "
        "973 978 979 980 985 989"
    ),
    "CA": word_list(
        "204 226 250 289 306 403 416 418 438 450 506 514 519 604 613 647 705 709 778 780 807 819 "
        "867 902 905"
    ),
}
"""Area codes of long standing, so that a newer list of them changes no surrogate."""

_FIRST_LINE = 2000
_LINES = 10_000 - _FIRST_LINE
_LONGEST = 40

_SAME_REGION, _VALID = 200, 350
"""After so many attempts another country of the same code will do (the Vatican's +39 06 698), and
any number of the same length."""


@cache
def _phonenumbers() -> Any:
    """The library, loaded with the first number: jobs that replace none do without it."""
    import phonenumbers  # noqa: PLC0415

    return phonenumbers


@lru_cache(maxsize=4096)
def _readings(value: str) -> tuple[Any, ...]:
    """The valid numbers that this may be, of different countries.

    With a country code, a number of a possible length is enough.
    """
    if len(value) > _LONGEST:
        return ()
    found: dict[int, Any] = {}
    regions: tuple[str | None, ...] = (None,) if value.lstrip(" (").startswith("+") else REGIONS
    for region in regions:
        try:
            number = _phonenumbers().parse(value, region)
        except _phonenumbers().NumberParseException:
            continue
        if _phonenumbers().is_valid_number(number) or (
            region is None and _phonenumbers().is_possible_number(number)
        ):
            found.setdefault(number.country_code or 0, number)
    return tuple(found.values())


def _region(number: Any) -> str:
    return _phonenumbers().region_code_for_number(number) or ""


def _national(number: Any) -> str:
    return str(_phonenumbers().national_significant_number(number))


def _areas(number: Any) -> tuple[str, ...] | None:
    if number.country_code != 1:
        return None
    region = _region(number)
    return AREAS["US"] if not region else AREAS.get(region, (_national(number)[:3],))


def _subset(key: Key, number: Any) -> tuple[Subset, tuple[str, ...] | None, Alphabets]:
    national = _national(number)
    areas = _areas(number)
    if areas is not None and len(national) == 10:
        size = len(areas) * _LINES
        name = f"phone +1 {areas[0]}"
        return Subset(key, name, size, check_bits(size, reserved=True)), areas, ()
    alphabets = [national[0], *[DIGITS] * (len(national) - 1)]
    size = domain_size(alphabets)
    name = f"phone +{number.country_code} {national[0]}"
    return Subset(key, name, size, check_bits(size, reserved=False)), None, alphabets


def _other_national(key: Key, number: Any, seed: str, attempt: int) -> str | None:
    subset, areas, alphabets = _subset(key, number)
    index = subset.drawn(seed, attempt)
    if areas is None:
        national = code_at(index, alphabets)
    else:
        area, line = divmod(index, _LINES)
        national = f"{areas[area]}555{_FIRST_LINE + line}"
    other = _phonenumbers().PhoneNumber(
        country_code=number.country_code,
        national_number=int(national),
        italian_leading_zero=True if national.startswith("0") else None,
    )
    if national.startswith("00"):
        return None
    must_be_valid = _phonenumbers().is_valid_number(number) and attempt < _VALID
    if must_be_valid and not _phonenumbers().is_valid_number(other):
        return None
    if must_be_valid and attempt < _SAME_REGION and _region(other) != _region(number):
        return None
    return national if _national(other) == national else None


def _recognizes_number(key: Key, number: Any) -> bool:
    national = _national(number)
    subset, areas, alphabets = _subset(key, number)
    if areas is None:
        index = index_of(national, alphabets)
        return index is not None and subset.contains(index)
    if national[3:6] != "555" or national[:3] not in areas:
        return False
    line = int(national[6:]) - _FIRST_LINE
    return line >= 0 and subset.contains(areas.index(national[:3]) * _LINES + line)


def _canonical(value: str) -> str:
    readings = _readings(value)
    if not readings:
        return normalised(value)
    return str(_phonenumbers().format_number(readings[0], _phonenumbers().PhoneNumberFormat.E164))


def _draw(key: Key, value: str, seed: str, attempt: int) -> str | None:
    readings = _readings(value)
    if not readings:
        return None
    number = readings[0]
    national = _other_national(key, number, seed, attempt)
    if national is None:
        return None
    digits = [at for at, char in enumerate(value) if char.isdigit()]
    main = len(digits) - len(number.extension or "")
    start = main - len(national)
    standing = "".join(str(int(value[at])) for at in digits[start:main]) if start >= 0 else ""
    out = list(value)
    if standing != _national(number):
        kind = _phonenumbers().PhoneNumberFormat
        shape = kind.INTERNATIONAL if value.lstrip(" (").startswith("+") else kind.NATIONAL
        plain = f"+{number.country_code}{national}"
        return str(_phonenumbers().format_number(_phonenumbers().parse(plain, None), shape))
    for at, char in zip(digits[start:main], national, strict=True):
        out[at] = char
    for at in digits[main:]:
        out[at] = str(key.number(10, "extension", seed, attempt, at))
    return "".join(out)


def _recognizes(key: Key, value: str) -> bool:
    return any(_recognizes_number(key, number) for number in _readings(value))


PHONE = Family("phone", _draw, _recognizes, lambda value: bool(_readings(value)), _canonical)
