"""Street addresses and post boxes of twelve languages, by rules (addresses.toml).

A line of an address is known by its street (a number, a name, a type of street in the order of the
language), by its post box, or by its town with state and postal code (of the US, Canada and
Australia). It runs on over what may follow (parts of a building, postal code and town), also on the
next lines, and begins with the house before a town that was found.

Each expression begins with a number or a word of a list, and has limits: time is linear.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import regex

from unrote.pii.address_words import lists
from unrote.pii.catalogue import ADDRESS
from unrote.pii.config import Config
from unrote.pii.recognizers import Expression, Span, without_duplicates

ORIGIN = "addresses"

SCORE = 0.85
"""Of a street with its town, of a post box, of a town with state and postal code."""
STREET_ALONE = 0.6
NEEDS_HOUSE = 0.5
"""Of a postal code that many things look like, until a house is found before it."""
NEEDS_STREET = 0.48
"""Of a town with a postal code in digits alone, until a name with a number is found before it."""
NEEDS_TOWN = 0.45
"""Of a street that many things look like, until a town with its postal code is found behind it."""

TOWNS = (SCORE, NEEDS_HOUSE, NEEDS_STREET)
"""Scores of lines that a house may stand before."""

REACH = 160
"""Characters that an address may go on before or behind the line by which it was found."""


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, set(words)), key=lambda one: (-len(one), one)))


class _Line(NamedTuple):
    """By what a line of an address is known: an expression, a wider one for Hyperscan, a score.

    endings: where there are some, one of them and a house behind it are in each match once, at most
    LONGEST_STREET behind its beginning and LONGEST_HOUSE before its end. group: of the match, which
    is the address.
    """

    expression: str
    probe: str
    score: float
    endings: tuple[str, ...] = ()
    group: int = 0


LONGEST_STREET = 160
LONGEST_HOUSE = 40


_HOUSE = r"\d{1,5}(?:[-/]\d{1,5})?(?: ?[A-Za-z](?![A-Za-z]))?"
_HOUSE_BEHIND = r"(?!(?:19|20)\d\d(?!\d))\d{1,4}(?:[-/]\d{1,5})?(?: ?[A-Za-z](?![A-Za-z]))?(?! ?\d)"
"""Behind a street: no year, no postal code."""
_NUMBER_SIGN = r"(?:(?:N[º°o]|n[º°o]|Nr|No|#)\.? ?)?"
_ORDINAL = r"\d{1,3}(?:st|nd|rd|th|ST|ND|RD|TH)"
_WORD = r"(?:(?:\p{Lu}\.){1,3}|\p{Lu}\p{L}{1,2}\.|\p{Lu}[\p{L}\p{M}'’\-]{0,24})"
_BEGINS = r"(?<![\p{L}\p{N}_])"
_BEGINS_WORD = r"(?<![\p{L}\p{N}_.-])"
_BEGINS_NUMBER = r"(?<![\p{L}\p{N}_.,:;/$€£#%&=+*@-])"
_ENDS = r"(?![\p{L}\p{N}_(=]|-\p{L}| ?%|\.\d)"
_GAP = r"(?:,? ?\n[ \t]{0,8}|, ?| )"
"""Between two parts of an address, which may stand in one line."""
_COUNTRY = "(?:(?:DE?|A|AT|CH|FR?|BE?|LU?|IT?|ES?|SE?|DK|NO?|NL|FI|PL|PT|MX)-)"
"""Before a postal code (CEPT)."""
_BRITISH = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"
_CANADIAN = r"[A-Z]\d[A-Z] ?\d[A-Z]\d"

_house_behind = re.compile(" (?=[0-9])")
_between_words = regex.compile(r"[\s#*/;]+")


class _Lists:
    """The lists of addresses.toml as parts of expressions."""

    def __init__(self) -> None:
        table = lists()
        self.parts = table["parts"]
        self.name_type = table["number_name_type"]
        self.compound = table["compound_number"]
        self.type_name = _any(table["number_type_name"]["types"])
        self.type_number_words = table["type_name_number"]
        self.type_number = _any(table["type_name_number"]["types"])
        self.with_comma = _any(table["type_name_number"]["types_with_comma"])
        particle = f"(?:{_any(self.parts['particles'])})"
        day = rf"\d{{1,2}} (?:(?:de|di) \p{{L}}{{4,10}}|(?!\p{{Lu}}{{2}}){_WORD})"
        name = rf"(?:(?:{particle} ?){{0,3}}{_WORD}|{day})"
        self.names = rf"{name}(?:[ -]{name}){{0,5}}"
        self.town = rf"{_WORD}(?:[ -](?:{particle} ?){{0,3}}{_WORD}){{0,4}}"
        floor = r"(?:\d{1,3}(?:st|nd|rd|th|[ºª°o])\.?|\d{1,3}) ?(?:[Ff]loor|[Pp]iso|[ée]tage|/F)"
        self.unit = (
            rf"(?:(?:{_any(self.parts['units'])})\.?(?: ?#| )?"
            rf"(?:\d[0-9A-Za-z/-]{{0,5}}|[A-Z]{{1,2}}(?!\p{{L}}))|{floor}|#\d{{1,5}}"
            rf"|\d{{1,2}}[ºª°]\.? ?(?:\p{{Lu}}|[Ii]zq|[Dd]cha|[Dd]to|[Ee]sq)\.?(?!\p{{L}}))"
        )
        self.area = rf"(?:{_any(self.parts['areas'])})\.? {name}(?:[ -]{name}){{0,3}}"

    def any_of(self, name: str) -> str:
        """One of the words of a list of `parts`."""
        return f"(?:{_any(self.parts[name])})"


def _number_first(of: _Lists) -> Iterator[_Line]:
    types, short = (
        _any([*words, *map(str.upper, words)])
        for words in (of.name_type["types"], of.name_type["abbreviations"])
    )
    types_with_town = of.name_type["types_with_town"]
    year = rf"(?<=\b(?i:{of.any_of('no_house_but_year')}) )(?:1[789]|20)\d\d\b"
    word = rf"(?:{_ORDINAL}|(?!(?:{_any(of.name_type['none_with'])})\b){_WORD})"
    saint = rf"\.? (?!{of.any_of('units')}\b)\p{{Lu}}\p{{Ll}}{{2,}}"  # or a doctor
    yield _Line(
        rf"{_BEGINS_NUMBER}(?<!\b(?i:{of.any_of('no_house_behind')}) )(?!{year}){_HOUSE},? "
        rf"(?:{of.any_of('directions')}\.? )?(?:{word} ){{1,4}}"
        rf"(?:(?:{types}){_ENDS}|(?:{short})(?![\p{{L}}\p{{N}}_(=])(?!{saint})\.?)"
        rf"(?: {of.any_of('directions')}\b)?",
        rf"[0-9][^\n]{{0,80}} (?:{types}|{short})\b",
        STREET_ALONE,
    )
    weak = _any([*types_with_town, *map(str.upper, types_with_town)])
    yield _Line(
        rf"{_BEGINS_NUMBER}{_HOUSE},? (?:{word} ){{1,4}}(?:{weak})(?=,? ?$|, \p{{Lu}})",
        rf"[0-9][^\n]{{0,80}} (?:{weak})(?:,? ?$|, [A-Z])",
        NEEDS_TOWN,
    )
    yield _Line(
        rf"{_BEGINS_NUMBER}\d{{1,5}}(?: ?(?:bis|ter|quater|[A-Z]))?,? (?:{of.type_name}) "
        rf"{of.names}{_ENDS}",
        rf"[0-9][^\n]{{0,10}} (?:{of.type_name}) ",
        STREET_ALONE,
    )


def _number_last(of: _Lists) -> Iterator[_Line]:
    number = (
        r"(?:,? ?[sS]/[nN]|,? ?[Kk]m\.? ?\d{1,4}(?:[.,]\d{1,3})?"
        r"|(?:,? ?(?:n[º°o.]\.?|N[º°.]|No\.?|[Nn]úm\.?|[Nn]r\.?|#),? ?|, ?| )"
        rf"{_HOUSE_BEHIND}(?: - \d{{1,4}})?)"
    )
    initials = _any(of.type_number_words["types_of_one_letter"])
    yield _Line(
        rf"{_BEGINS_WORD}(?:{initials}) {of.names}{number}{_ENDS}",
        rf"\b(?:{initials}) [^\n]{{1,120}}[0-9/]",
        NEEDS_TOWN,
    )
    yield _Line(
        rf"{_BEGINS_WORD}(?<!\bet )(?:{of.type_number}) ?"
        rf"(?:(?!\p{{Lu}}{{2}}){of.names}{number}|\d{{1,3}} N[º°] ?{_HOUSE_BEHIND}){_ENDS}",
        rf"\b(?:{of.type_number}) ?[^\n]{{1,120}}[0-9/]",
        STREET_ALONE,
    )
    without = _any(of.type_number_words["types_without_number"])
    yield _Line(
        rf"{_BEGINS_WORD}(?:{without}) {of.names}(?=,? ?$|, ?\d|, ?\p{{Lu}})",
        rf"\b(?:{without}) [^\n]{{2,80}}",
        NEEDS_TOWN,
    )
    words = of.compound["endings_of_words"]
    of_words = f"(?:{_any(words)})"
    yield _Line(
        rf"{_BEGINS_WORD}(?:\p{{Lu}}[\p{{L}}'’]{{1,20}}[ -]){{0,3}}"
        rf"(?!(?i:{_any(of.compound['none_with'])})\b)"
        rf"(?:\p{{Lu}}[\p{{Ll}}'’]{{2,24}}{of_words}|(?<=\p{{L}}s )(?:väg|gata)"
        rf"|(?<=\p{{L}}n )(?:tie|katu|bulevardi|kuja)) {_HOUSE}{_ENDS}",
        rf"(?:{of_words}|n tie) [0-9]",
        STREET_ALONE,
    )
    endings = of.compound["endings"]
    ending = f"(?:{_any([*endings, *map(str.capitalize, endings)])})"
    # As a word of its own in lower case it is any word: "the sink pad 2".
    alone = f"(?:{_any(map(str.capitalize, endings))})"
    shortened = {one.lower()[1:] for one in endings}
    yield _Line(
        rf"{_BEGINS_WORD}(?:\p{{Lu}}[\p{{L}}'’]{{1,20}}[ -]){{0,3}}"
        rf"(?!(?i:{_any(of.compound['none_with'])})\b)"
        rf"(?:\p{{Lu}}[\p{{Ll}}'’]{{2,24}}{ending}|(?<=\p{{L}}-){ending}|(?<=\p{{L}} ){alone}) "
        rf"{_HOUSE}{_ENDS}",
        rf"(?:{_any(shortened)}) [0-9]",
        STREET_ALONE,
        tuple(shortened),
    )
    yield _Line(
        rf"{_BEGINS}(?:{of.with_comma}) {of.names}, (?:{_HOUSE_BEHIND}|s/n|S/N)(?=,|$)",
        rf"(?:{of.with_comma}) [^\n]{{2,80}}, [0-9sS]",
        STREET_ALONE,
    )
    colombian = "calle|cl|carrera|cra|cr|kr|diagonal|dg|transversal|tv|avenida|av"
    yield _Line(
        rf"{_BEGINS}(?:(?:Avenida|Av\.?) )?(?i:{colombian})\.? [\p{{L}}\d][\p{{L}}\d ]{{0,20}} "
        rf"# ?\d{{1,3}}[A-Z]?(?: ?- ?\d{{1,3}})?(?: (?:Sur|Norte|Este|Oeste))?{_ENDS}",
        " # ?[0-9]{1,3}",
        STREET_ALONE,
    )


def _boxes_and_towns(of: _Lists) -> Iterator[_Line]:
    yield _Line(
        rf"{_BEGINS}{of.any_of('boxes')}(?: n[º°o.])?:? \d[\d ]{{0,13}}(?<=\d)",
        rf"{of.any_of('boxes')}(?: n|:)?",
        SCORE,
    )
    military = r"(?:PSC|Unit|UNIT|CMR) [0-9]{2,7},? (?:Box|BOX) [0-9]{1,5}"
    yield _Line(rf"{_BEGINS}{military}\b", military, SCORE)
    post_office = r"[AFD]PO,? A[APE] [0-9]{5}"
    yield _Line(rf"{_BEGINS}{post_office}(?:-\d{{4}})?{_ENDS}", post_office, SCORE)
    for behind, score in (
        (rf", {of.any_of('states')},? [0-9]{{5}}(?:-[0-9]{{4}})?", SCORE),
        (rf", {of.any_of('provinces')},? {_CANADIAN}", SCORE),
        (rf",? (?:{'|'.join(of.parts['territories_by_code'])})", SCORE),
        (rf",? {of.any_of('territories')},? [0-9]{{4}}", NEEDS_HOUSE),
    ):
        yield _Line(rf"{_BEGINS}{of.town}{behind}{_ENDS}", behind, score)
    yield _Line(
        rf"{_BEGINS}(?:{_BRITISH}|{of.town}[- ]\d{{6}}){_ENDS}",  # the latter is Indian
        r"\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b|[a-z][- ][0-9]{6}\b",
        NEEDS_HOUSE,
    )
    for behind in (
        rf", {of.any_of('mexican_states')}\.?,? (?:C\.?P\.? ?)?[0-9]{{5}}",
        rf",? [0-9]{{4}},? {of.any_of('philippine_provinces')}",
    ):
        yield _Line(rf"{_BEGINS}{of.town}{behind}{_ENDS}", behind, SCORE)
    numbered = (
        rf"(?:{_COUNTRY}|C\.?P\.? ?|CEP:? ?)?"
        r"(?:\d{5,7}|(?!1[5-9]|20)\d{4}|\d{3} \d{2}|\d{2}-\d{3}|\d{4}-\d{3}|\d{5}-\d{3})"
    )
    yield _Line(
        rf"(?<![\p{{L}}\p{{N}}_.,:;/$€£#%&=+*@(-])(?<!\d ){numbered} {of.town}{_ENDS}",
        r"\b(?:[0-9]{5,7}|(?:[03-9][0-9]|1[0-4]|2[1-9])[0-9]{2}|[0-9]{2,3}[- ][0-9]{2,3}"
        r"|[0-9]{4,5}-[0-9]{3}) [A-Z]",
        NEEDS_STREET,
    )


def _said(of: _Lists) -> _Line:
    """A street without a type, behind a word that says that it is one."""
    says, none = of.any_of("says_address"), of.any_of("other_addresses")
    opened = "[\"']?(?: is| est| est:| ist|) ?[:=]? ?[\"']?"
    return _Line(
        rf"(?<!(?i:{none})[ _-])(?<!\p{{L}}){says}{opened}"
        rf"((?:(?=\p{{Lu}}\p{{Ll}}){of.names},? {_NUMBER_SIGN}{_HOUSE_BEHIND}(?![.,]\d)"
        rf"|{_HOUSE},?(?: (?!{of.any_of('units')}\b)(?:{_ORDINAL}|{_WORD})){{2,5}}))"
        rf"(?=[,.;\"']|$| \p{{Ll}}| {of.unit})",
        rf"\b{says}{opened}(?:[A-Z][^\n]{{2,80}}[0-9]|[0-9][^\n]{{0,9}} [A-Z])",
        STREET_ALONE,
        group=1,
    )


@cache
def _lines() -> tuple[_Line, ...]:
    of = _Lists()
    return (*_number_first(of), *_number_last(of), *_boxes_and_towns(of), _said(of))


@cache
def _behind() -> Any:
    """What may follow a line: parts of a building or town, then postal code and town (`code`)."""
    of = _Lists()
    regions = "|".join(map(of.any_of, ("states", "provinces", "territories")))
    lower = rf"(?:(?:da|de|do|das|dos) )?(?:(?:da|de|do|das|dos) )?{of.town}"
    codes = (
        rf"{of.town},? (?:{regions}),? (?:\d{{4,5}}(?:-\d{{4}})?|{_CANADIAN})",
        rf"(?:{of.town}{_GAP}){{1,2}}{_BRITISH}",
        rf"[A-Z]\d[\dW] ?[A-Z\d]{{4}}{_GAP}{of.town}",  # Irish
        rf"\d{{4}} ?[A-Z]{{2}}{_GAP}{of.town}",
        rf"(?:{of.town}{_GAP})?(?:CEP:? ?)?\d{{5}}-?\d{{3}}(?:,? {lower}(?: ?[/-] ?[A-Z]{{2}})?)?",
        rf"(?:PT-)?\d{{4}}-\d{{3}} {of.town}",
        rf"(?:PL-)?\d{{2}}-\d{{3}}{_GAP}{of.town}",
        rf"(?:(?:SE|S)-)?\d{{3}} \d{{2}}{_GAP}{of.town}",
        rf"(?:{_COUNTRY}|C\.?P\.? ?)?\d{{4,7}}{_GAP}{of.town}"
        rf"(?: \([A-Z]{{2}}\)| CEDEX \d{{1,2}}| [A-Z]{{2}}\b)?(?:, {of.town}){{0,2}}",
        rf"\d{{3}}-?\d{{4}}{_GAP}{of.town}(?:, {of.town}){{0,2}}",
        rf"{of.town}(?:, {of.town})?(?: |, ?(?!(?:19|20)\d\d(?!\d)))\d{{3,7}}(?:-\d{{3,4}})?"
        rf"(?:, {of.town})?",
        rf"{of.town}, (?:\p{{Lu}}{{2,4}}|\p{{Lu}}\p{{L}}{{1,3}}\.),? (?:C\.?P\.? ?)?\d{{5}}",
    )
    code = "|".join(rf"(?:{one}){_ENDS}" for one in codes)
    parts = rf"(?:(?:{_GAP}{of.unit}){{0,4}}(?:{_GAP}{of.area}){{0,2}}(?:{_GAP}{of.unit})?)"
    return regex.compile(rf"{parts}(?:(?:{_GAP}{of.town})?{_GAP}(?P<code>{code}))?")


@cache
def _before() -> Any:
    """What stands before the line of a town: a house or a part of one, or a ship."""
    of = _Lists()
    house = (
        rf"(?:{of.unit}{_GAP})?(?:H\.? ?No\.? )?{_HOUSE}"
        rf"(?:,?[ \n](?:{_ORDINAL}|{_WORD})){{1,5}}(?:{_GAP}{of.unit}){{0,2}}"
        rf"|{of.unit}{_GAP}{of.names}|(?:USNS|USS|USCGC|USNV) {_WORD}"
    )
    return regex.compile(rf"{_BEGINS_NUMBER}(?:{house})(?:{_GAP}{of.town}){{0,2}}{_GAP}\Z")


@cache
def _name_before() -> Any:
    """What stands before a numbered postal code: a street by its name and number alone."""
    of = _Lists()
    return regex.compile(
        rf"{_BEGINS_WORD}(?!(?:{_any(of.parts['no_street'])})\b)(?!\p{{Lu}}{{2}}){of.names},? "
        rf"{_NUMBER_SIGN}{_HOUSE_BEHIND}(?:{_GAP}{of.unit}){{0,2}}(?:{_GAP}{of.area})?{_GAP}\Z"
    )


@cache
def _unit_before() -> Any:
    """Parts of a building, before its street."""
    return regex.compile(rf"{_BEGINS_WORD}(?:{_Lists().unit}{_GAP}){{1,3}}\Z")


_gap = regex.compile(_GAP)
_number_ends = regex.compile(r"\d ?\p{L}?(?:,? ?\n[ \t]{0,8}|, )(?:[^\n\d]{1,40}(?:,? ?\n|, ))?\Z")


class Addresses:
    """The recogniser (unrote.pii.recognizers.Recognizer)."""

    entity = ADDRESS
    origin = ORIGIN
    weak: frozenset[int] = frozenset()
    within_lines = True

    def __init__(self, config: Config) -> None:
        self.context: list[str] = []
        self._limit = config.max_seconds
        self._lines = tuple((regex.compile(one.expression, regex.M), one) for one in _lines())
        self.expressions = tuple(Expression(one.probe, int(regex.M)) for one in _lines())

    def find(self, text: str, fired: Sequence[int]) -> list[Span]:
        """The lines of addresses, and of what only a house before it makes one."""
        return without_duplicates(
            Span(match.start(line.group), match.end(line.group), line.score)
            for expression, line in (self._lines[index] for index in fired)
            for match in self._matches(expression, line, text)
        )

    def _matches(self, expression: Any, line: _Line, text: str) -> Iterator[Any]:
        """The matches of an expression, which is tried where its endings stand if it has some."""
        if not line.endings:
            yield from expression.finditer(text, timeout=self._limit)
            return
        after = 0
        for house in _house_behind.finditer(text):
            at = house.start()
            if at < after or not text.endswith(line.endings, 0, at):
                continue
            first, last = max(after, at - LONGEST_STREET), at + LONGEST_HOUSE
            match = expression.search(text, first, last, timeout=self._limit)
            if match is not None and match.start() < at:
                yield match
                after = match.end()

    def whole(self, text: str, spans: list[Span]) -> list[Span]:
        """In the whole document: all of each address."""
        found: list[Span] = []
        for start, end, score in sorted(spans):
            last = found[-1] if found else Span(0, 0, 0.0)
            goes_on = start < last.end or (score in TOWNS and _gap.fullmatch(text, last.end, start))
            least = max(start - REACH, last.end)
            if not goes_on and score in TOWNS:
                house = self._house(text, least, start, score)
                if house is None and score != SCORE:
                    continue
                start = start if house is None else house
            last_end, has_code = self._end(text, end)
            if score == NEEDS_TOWN and not has_code:
                continue
            if goes_on and found:
                found[-1] = Span(last.start, max(last.end, last_end), SCORE)
                continue
            if score not in TOWNS:
                unit = _unit_before().search(text, max(least, start - 60), start)
                start = start if unit is None else unit.start()
            alone = score == STREET_ALONE and last_end == end
            found.append(Span(start, last_end, STREET_ALONE if alone else SCORE))
        return [one for one in found if not self._is_public(text, one)]

    def _end(self, text: str, end: int) -> tuple[int, bool]:
        """Where an address ends that is known up to `end`, and whether by a postal code."""
        behind = _behind().match(text, end, end + REACH)
        return max(end, behind.end()), behind["code"] is not None

    def _house(self, text: str, least: int, start: int, score: float) -> int | None:
        """Where the house before a line of a town begins, if there is one."""
        house = None
        if score != NEEDS_STREET:
            house = _before().search(text, least, start)
        may_be_name = score != NEEDS_HOUSE and _number_ends.search(
            text, max(least, start - 60), start
        )
        if house is None and may_be_name:
            house = _name_before().search(text, least, start)
        return None if house is None else int(house.start())

    def _is_public(self, text: str, span: Span) -> bool:
        before = _between_words.sub(" ", text[max(0, span.start - REACH) : span.start])
        return any(body in before for body in lists()["parts"]["public_bodies"])
