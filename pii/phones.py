"""Phone numbers: what phonenumbers' PhoneNumberMatcher finds, without its search.

PhoneNumberMatcher walks the text once per region. Its loop is: search the next candidate (digits
with few separators) from an index; ask `_extract_match` whether it is a number in that region;
go on after the match, or after the candidate. Nearly all time goes into asking, eight times, the
same question about the same years and version numbers. This module keeps `_extract_match`, which
decides, and replaces what is around it. It finds the same, because

* a candidate starts at most ten characters (two leading signs with four separators each) before
  its first digit, so a search may start ten characters before the next digit;
* `_extract_match` looks at the candidate; at whether the characters beside it are Latin letters,
  marks or signs such as "%"; and at whether minutes (":00") follow. So its answer is kept under
  these four;
* a number has at least as many digits and letters (phonenumbers reads "EXT" as 398) as the
  shortest number of any country, so shorter candidates need not be asked about; what touches a
  character that no number touches need not be parsed; and digits that have no valid length or
  shape in a region need not be parsed there (`_Region`);
* of a candidate with a plus sign and a calling code every region makes the same number;
* PhoneNumberMatcher gives up on a text after 65,535 failures. Failures are counted from above;
  where they could be so many, PhoneNumberMatcher itself runs.

No candidate holds a line break, so any run of whole lines can be searched alone.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, phonenumbermatcher
from phonenumbers.phonenumberutil import (
    _choose_formatting_pattern_for_number,
    _formatting_rule_has_first_group_only,
)

from unrote.pii.phone_candidates import LEAD, MIN_CHARS, Likely

matcher: Any = phonenumbermatcher  # whose own parts are called here

MAX_FAILURES = 65_535
MEMO = 200_000
"""Answers kept; then all are forgotten."""

_BETWEEN = "x \xa0\xad.()\\[\\]/~\u2010\u2011\u2012\u2013\u2014\u2015\u2053\u200b\u2060\u2212\u223c"
_BETWEEN += "\u3000\u30fc\uff08\uff09\uff0d\uff0e\uff0f\uff3b\uff3d\uff5e-"
"""What may stand between the digits of a candidate, as in phonenumbers."""

_ALPHANUMERIC = "[0-9x\u30fc]"
_SPACE = "[ \xa0\\t,]*"

PREFILTER_EXPRESSIONS = (
    f"{_ALPHANUMERIC}(?:[+\uff0b{_BETWEEN}]{{0,9}}{_ALPHANUMERIC}){{{MIN_CHARS - 1}}}",
    f"[0-9]{_SPACE}(?:;ext=|\uff45?\uff58\uff54|e?xt|\u0434\u043e\u0431|anexo|int|\uff49\uff4e\uff54)",
    f"[0-9]{_SPACE}[x\uff58#\uff03~\uff5e][:.\uff0e]?[ \xa0\\t,-]*[0-9]",
    "[0-9][- ]+[0-9]{1,6}#",
)
"""One of these matches in any candidate of MIN_CHARS digits and letters: within its digits, or from
its last digit into its extension. (The prefilter reads digits of other scripts as 0.)"""

KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip"),
    *("personal_number", "pager", "uan", "voicemail"),
)
"""A valid number is of one of these kinds."""

NO_REGION = "001"
"""The region of calling codes that belong to none, as phonenumbers has it."""

SHORTEST_ABROAD = 7
"""Fewest digits of an international prefix, a country code and a number behind it (tested)."""

_digit = re.compile(r"\d")
_not_digit = re.compile(r"[^0-9]+")
_plain = re.compile(r"[-0-9 .()\[\]/xX]+")
_before_plus = re.compile(r"[-. (\[/]*")
_extension = re.compile("[xX]")
_plus = re.compile("[+\uff0b]")
_minutes = re.compile(r":[0-5]\d")


class Phone(NamedTuple):
    """A number found in one region: code points [start, end), and what phonenumbers parsed."""

    region: str
    start: int
    end: int
    number: Any


class _Answer(NamedTuple):
    """What a region makes of a candidate: the match within it, if any, and failures on the way."""

    failures: int
    found: bool = False
    start: int = 0
    end: int = 0
    number: Any = None


class Groups(NamedTuple):
    """What `_extract_match` would parse of a candidate: itself, and what splitting it gives.

    readings    the digits that phonenumbers may take from the groups of which that is known
    unreadable  digits and letters of the longest of the others
    """

    readings: set[str]
    unreadable: int


def _metadata(region: str) -> Any:
    return PhoneMetadata.metadata_for_region(region)


class _Region:
    """What phonenumbers knows of a region, to say early that digits are no number there.

    Of a text of digits and separators (no plus sign, letter or extension) phonenumbers takes the
    digits; strips an international prefix and country code, or the region's own country code, and
    then a national prefix, where the digits begin so; and wants what is left to be of a length and
    shape that some region with this country code has. Where nothing can be stripped, a national
    prefix that is demanded is missing. (No country code begins with 0; what looks like an
    international prefix before a 0 is none. Prefixes that capture, as Brazil's may, rewrite the
    number, and Argentina's may be empty: both are left to phonenumbers.)
    """

    def __init__(self, name: str) -> None:
        metadata = _metadata(name)
        names = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]
        main = _metadata(names[0])
        regions = [_metadata(other) for other in names]
        kinds = [getattr(region, kind) for region in regions for kind in KINDS]
        shapes = {kind.national_number_pattern for kind in kinds if kind is not None} - {None}
        self._code = str(metadata.country_code)
        self._abroad = re.compile(metadata.international_prefix)
        prefixes = {metadata.national_prefix_for_parsing, main.national_prefix_for_parsing} - {None}
        self._prefixes = [re.compile(prefix) for prefix in prefixes]
        self._lengths = frozenset(n for one in regions for n in one.general_desc.possible_length)
        self._shape = re.compile("|".join(f"(?:{shape})" for shape in sorted(shapes)))
        self._formats = main.number_format
        added = len(re.sub(r"\$\d|\D", "", metadata.national_prefix_transform_rule or ""))
        self.shortest = min(SHORTEST_ABROAD, min(self._lengths) - added)

    def refuses_all(self, groups: Groups) -> bool:
        """Whether none of the groups is a valid number here, for sure."""
        return groups.unreadable < self.shortest and all(map(self._refuses, groups.readings))

    def _refuses(self, reading: str) -> bool:
        digits = reading.removeprefix("+")
        if digits != reading and _calling_code(digits):
            return _refuses_abroad(digits)
        # Behind a plus sign and no calling code, phonenumbers reads digits as if it were not there.
        if len(digits) < self.shortest:
            return True
        abroad = self._abroad.match(digits)
        if abroad is not None and not digits.startswith("0", abroad.end()):
            return _refuses_abroad(digits[abroad.end() :])
        left = self._without_prefixes([digits, digits.removeprefix(self._code)])
        if left is None:
            return False
        return not self._has_valid(left) or (set(left) == {digits} and self._wants_prefix(digits))

    def refuses_national(self, digits: str) -> bool:
        """Whether digits behind a plus sign and this calling code are no number, for sure."""
        left = self._without_prefixes([digits])
        return left is not None and not self._has_valid(left)

    def _without_prefixes(self, left: list[str]) -> list[str] | None:
        """The digits, and what is left of them without national prefixes; None if not known.

        Behind a country code a prefix is stripped twice.
        """
        for number in left:  # which grows
            for prefix in self._prefixes:
                match = prefix.match(number)
                if match is not None and (match.lastindex or not match.end()):
                    return None
                if match is not None:
                    left.append(number[match.end() :])
        return left

    def _has_valid(self, numbers: list[str]) -> bool:
        return any(len(n) in self._lengths and self._shape.fullmatch(n) for n in numbers)

    def _wants_prefix(self, digits: str) -> bool:
        rule = _choose_formatting_pattern_for_number(self._formats, digits)
        return bool(
            rule is not None
            and rule.national_prefix_formatting_rule
            and not rule.national_prefix_optional_when_formatting
            and not _formatting_rule_has_first_group_only(rule.national_prefix_formatting_rule)
        )


_region = cache(_Region)


def _calling_code(digits: str) -> int:
    """The calling code with which these digits begin; 0 if they begin with none."""
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    known = (int(digits[:size]) for size in (1, 2, 3) if digits[:1] != "0" and len(digits) >= size)
    return next((code for code in known if code in codes), 0)


def _refuses_abroad(digits: str) -> bool:
    """Whether these digits, behind a plus sign or what stands for one, are no number for sure."""
    code = _calling_code(digits)
    if not code:
        return True
    name = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    return name != NO_REGION and _region(name).refuses_national(digits[len(str(code)) :])


class PhoneFinder:
    """Finds what `PhoneNumberMatcher(text, region, leniency)` finds, for each of the regions.

    plausible: of a text, and start and end of digits in it, whether these are asked about.
    """

    def __init__(
        self,
        regions: tuple[str, ...],
        leniency: int,
        plausible: Callable[[str, int, int], bool] | None = None,
    ) -> None:
        self.regions = regions
        self._plausible = plausible
        self.leniency = leniency
        self._memo: dict[tuple[str, bool, bool, bool], tuple[_Answer, ...]] = {}

    def part(self, text: str, likely: Likely | None = None) -> list[Phone]:
        """The phones of whole lines of a document of which `few_failures` is true. likely: where in
        them plausible numbers may be.
        """
        return self._search(text, likely)[0]

    def whole(self, text: str) -> list[Phone]:
        """The phones of a document."""
        phones, failures = self._search(text)
        if failures < MAX_FAILURES or self._plausible is not None:
            return phones
        return [
            Phone(region, match.start, match.end, match.number)
            for region in self.regions
            for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=self.leniency)
        ]

    def _search(self, text: str, likely: Likely | None = None) -> tuple[list[Phone], int]:
        """The phones of `text`, and a bound of the failures in any one region."""
        phones: list[Phone] = []
        failures, skipped = [0] * len(self.regions), 0
        waiting = {0: tuple(range(len(self.regions)))}
        while waiting:
            index = min(waiting)
            regions = waiting.pop(index)
            next_ = index if likely is None else likely.from_(index)
            if next_ < 0:
                continue
            if next_ > index and waiting:
                waiting[next_] = (*waiting.get(next_, ()), *regions)
                continue
            index = next_
            candidate = _candidate(text, index)
            if candidate is None:
                continue
            start, found = candidate
            end = start + len(found)
            if _alphanumerics(found) < MIN_CHARS or self._refuses(text, start, end):
                skipped += max_failures(found)
                waiting[end] = (*waiting.get(end, ()), *regions)
                continue
            answers = self._ask(text, start, found)
            for region in regions:
                answer = answers[region]
                failures[region] += answer.failures
                after = end
                if answer.found:
                    after = start + answer.end
                    name = self.regions[region]
                    phones.append(Phone(name, start + answer.start, after, answer.number))
                waiting[after] = (*waiting.get(after, ()), region)
        return phones, skipped + max(failures, default=0)

    def _refuses(self, text: str, start: int, end: int) -> bool:
        return self._plausible is not None and not self._plausible(text, start, end)

    def _ask(self, text: str, start: int, found: str) -> tuple[_Answer, ...]:
        end = start + len(found)
        key = (
            found,
            start > 0 and _joins(text[start - 1]),
            end < len(text) and _joins(text[end]),
            _minutes.match(text, end) is not None,
        )
        if key not in self._memo:
            if len(self._memo) >= MEMO:
                self._memo.clear()
            self._memo[key] = self._answers(*key)
        return self._memo[key]

    def _answers(self, found: str, before: bool, after: bool, minutes: bool) -> tuple[_Answer, ...]:
        beside = ":00" if minutes else "a" if after else " "
        text = f"{'a' if before else ' '}{found}{beside}"
        if self.leniency < matcher.Leniency.VALID:
            return tuple(self._answer(region, found, text) for region in self.regions)
        none = _Answer(max_failures(found))
        groups = _groups(found, before, after)
        answers: list[_Answer] = []
        for region in self.regions:
            if _region(region).refuses_all(groups):
                answers.append(none)
                continue
            answer = self._answer(region, found, text)
            if answer.end - answer.start == len(found) and _is_abroad(found):
                return (answer,) * len(self.regions)
            answers.append(answer)
        return tuple(answers)

    def _answer(self, region: str, found: str, text: str) -> _Answer:
        asked = matcher.PhoneNumberMatcher(text, region, leniency=self.leniency)
        match = asked._extract_match(found, 1)
        failures = MAX_FAILURES - asked._max_tries
        if match is None:
            return _Answer(failures + 1)
        return _Answer(failures, True, match.start - 1, match.end - 1, match.number)


def _is_abroad(found: str) -> bool:
    """Whether it is for all regions what it is for one, if it is a number as a whole."""
    return any(one.startswith("+") and _calling_code(one[1:]) for one in _readings(found))


def _groups(found: str, before: bool, after: bool) -> Groups:
    """before, after: whether the characters beside a candidate touch no number."""
    spans = {(0, len(found))}
    for expression in matcher._INNER_MATCHES:
        inner = expression.search(found)
        if inner is not None:
            spans.add((0, inner.start()))
        while inner is not None:
            spans.add(inner.span(1))
            inner = expression.search(found, inner.start() + 1)
    before = before and matcher._LEAD_PATTERN.match(found) is None
    after = after and found[-1].isdigit()  # what is no digit may be cut off
    readings: set[str] = set()
    unreadable = 0
    for start, end in spans:
        if (before and start == 0) or (after and end == len(found)):
            continue
        known = _readings(found[start:end])
        readings.update(known)
        if not known:
            unreadable = max(unreadable, _alphanumerics(found[start:end]))
    return Groups({one for one in readings if len(one.lstrip("+")) >= MIN_CHARS}, unreadable)


def _readings(group: str) -> tuple[str, ...]:
    """The digits that phonenumbers may take from a group, behind a "+" if one is before them; none
    if that is not known.

    What follows an "x" may be an extension; three letters would be read as digits.
    """
    if group.isdigit() and group.isascii():
        return (group,)
    lead, sign, rest = group.partition("+")
    if not sign:
        rest = lead
    elif _before_plus.fullmatch(lead) is None:
        return ()
    if _plain.fullmatch(rest) is None or len(_extension.findall(rest)) > 2:
        return ()
    ends = [match.start() for match in _extension.finditer(rest)]
    return tuple(sign + _not_digit.sub("", rest[:end]) for end in (*ends, len(rest)))


def few_failures(chars: int, digits: int) -> bool:
    """Whether PhoneNumberMatcher surely reaches the end of a document of so many code points,
    of which so many are digits.

    A candidate fails once, and then where one of six expressions splits it: each begins with a
    character that is no digit, and only white space begins two. So at most 7 times and twice for
    each such character. What fails is not read again; a match, of at least MIN_CHARS digits and
    letters, ends a candidate early, whose rest (at most 150 such characters) is read again.
    """
    return 2 * chars + digits * (7 + (7 + 2 * 150) // MIN_CHARS) < MAX_FAILURES


def max_failures(found: str) -> int:
    """A bound of how often a candidate can fail."""
    return 1 if found.isdigit() else 7 + 2 * sum(not char.isdigit() for char in found)


def count_digits(text: str) -> int:
    return len(_digit.findall(text))


def _candidate(text: str, index: int) -> tuple[int, str] | None:
    """Start and text of the next candidate from `index` on, as PhoneNumberMatcher._find has it."""
    digit = _digit.search(text, index)
    if digit is None:
        return None
    match = matcher._PATTERN.search(text, max(index, digit.start() - LEAD))
    if match is None:
        return None
    found = match.group()
    second = matcher._SECOND_NUMBER_START_PATTERN.search(found)
    return match.start(), found[: second.start()] if second else found


def _alphanumerics(found: str) -> int:
    """Digits and letters."""
    return sum(map(str.isalnum, found))


def _joins(char: str) -> bool:
    """Whether a number beside `char` is none."""
    of = matcher.PhoneNumberMatcher
    return bool(of._is_invalid_punctuation_symbol(char) or of._is_latin_letter(char))
