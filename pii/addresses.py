"""Street addresses and post boxes of seven languages, by rules (addresses.toml).

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

REACH = 160
"""Characters that an address may go on before or behind the line by which it was found."""


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, set(words)), key=lambda one: (-len(one), one)))


class _Line(NamedTuple):
    """By what a line of an address is known: an expression, a wider one for Hyperscan, a score.

    endings: where there are some, one of them and a house behind it are in each match once, at most
    LONGEST_STREET behind its beginning and LONGEST_HOUSE before its end.
    """

    expression: str
    probe: str
    score: float
    endings: tuple[str, ...] = ()


LONGEST_STREET = 160
LONGEST_HOUSE = 40


_HOUSE = r"\d{1,5}(?:[-/]\d{1,5})?(?: ?[A-Za-z](?![A-Za-z]))?"
_HOUSE_BEHIND = r"(?!(?:19|20)\d\d(?!\d))\d{1,4}(?:[-/]\d{1,5})?(?: ?[A-Za-z](?![A-Za-z]))?(?! ?\d)"
"""Behind a street: no year, no postal code."""
_ORDINAL = r"\d{1,3}(?:st|nd|rd|th|ST|ND|RD|TH)"
_WORD = r"(?:(?:\p{Lu}\.){1,3}|\p{Lu}\p{L}{1,2}\.|\p{Lu}[\p{L}\p{M}'’\-]{0,24})"
_BEGINS = r"(?<![\p{L}\p{N}_])"
_BEGINS_WORD = r"(?<![\p{L}\p{N}_.-])"
_BEGINS_NUMBER = r"(?<![\p{L}\p{N}_.,:;/$€£#%&=+*@-])"
_ENDS = r"(?![\p{L}\p{N}_(=]|-\p{L}| ?%)"
_GAP = r"(?:,? ?\n[ \t]{0,8}|, ?| )"
"""Between two parts of an address, which may stand in one line."""
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
        self.type_number = _any(table["type_name_number"]["types"])
        self.with_comma = _any(table["type_name_number"]["types_with_comma"])
        particle = f"(?:{_any(self.parts['particles'])})"
        name = rf"(?:(?:{particle} ?){{0,3}}{_WORD}|\d{{1,2}} (?:de|di) \p{{L}}{{4,10}})"
        self.names = rf"{name}(?:[ -]{name}){{0,5}}"
        self.town = rf"{_WORD}(?:[ -](?:{particle} ?){{0,3}}{_WORD}){{0,4}}"
        self.unit = rf"(?:(?:{_any(self.parts['units'])})\.? ?#?[0-9A-Za-z-]{{1,6}}|#\d{{1,5}})"

    def any_of(self, name: str) -> str:
        """One of the words of a list of `parts`."""
        return f"(?:{_any(self.parts[name])})"


def _number_first(of: _Lists) -> Iterator[_Line]:
    types, short = (
        _any([*words, *map(str.upper, words)])
        for words in (of.name_type["types"], of.name_type["abbreviations"])
    )
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
    yield _Line(
        rf"{_BEGINS_NUMBER}\d{{1,4}}(?: ?(?:bis|ter|quater))?,? (?:{of.type_name}) "
        rf"{of.names}{_ENDS}",
        rf"[0-9][^\n]{{0,10}} (?:{of.type_name}) ",
        STREET_ALONE,
    )


def _number_last(of: _Lists) -> Iterator[_Line]:
    number = (
        r"(?:,? ?[sS]/[nN]|(?:,? ?(?:n[º°o.]\.?|N[º°.]|núm\.?|#),? ?|, ?| )"
        rf"{_HOUSE_BEHIND}(?: - \d{{1,4}})?)"
    )
    yield _Line(
        rf"{_BEGINS_WORD}(?:{of.type_number}) ?"
        rf"(?:(?!\p{{Lu}}{{2}}){of.names}{number}|\d{{1,3}} N[º°] ?{_HOUSE_BEHIND}){_ENDS}",
        rf"(?:{of.type_number}) ?[^\n]{{1,120}}[0-9/]",
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
        rf"(?:\p{{Lu}}[\p{{L}}'’]{{2,24}}{ending}|(?<=\p{{L}}-){ending}|(?<=\p{{L}} ){alone}) "
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
    for comma, states, code in (
        (", ", "states", r"[0-9]{5}(?:-[0-9]{4})?"),
        (", ", "provinces", _CANADIAN),
        (",? ", "territories", "[0-9]{4}"),
    ):
        behind = rf"{comma}{of.any_of(states)},? {code}"
        yield _Line(rf"{_BEGINS}{of.town}{behind}{_ENDS}", behind, SCORE)
    yield _Line(
        rf"{_BEGINS}(?:{_BRITISH}|{of.town}[- ]\d{{6}}){_ENDS}",  # the latter is Indian
        r"\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b|[a-z][- ][0-9]{6}\b",
        NEEDS_HOUSE,
    )


@cache
def _lines() -> tuple[_Line, ...]:
    of = _Lists()
    return (*_number_first(of), *_number_last(of), *_boxes_and_towns(of))


@cache
def _behind() -> Any:
    """What may follow a line: parts of a building, then postal code and town."""
    of = _Lists()
    regions = "|".join(map(of.any_of, ("states", "provinces", "territories")))
    codes = (
        rf"{of.town},? (?:{regions}),? (?:\d{{4,5}}(?:-\d{{4}})?|{_CANADIAN})",
        rf"(?:{of.town}{_GAP}){{1,2}}{_BRITISH}",
        rf"[A-Z]\d[\dW] ?[A-Z\d]{{4}}{_GAP}{of.town}",  # Irish
        rf"\d{{4}} ?[A-Z]{{2}}{_GAP}{of.town}",
        rf"(?:{of.town}{_GAP})?\d{{5}}-?\d{{3}}(?:,? {of.town}(?: ?[/-] ?[A-Z]{{2}})?)?",
        rf"\d{{4}}-\d{{3}} {of.town}",
        rf"(?:(?:D|A|CH|F|B|L|I|E)-)?\d{{4,6}}{_GAP}{of.town}(?: \([A-Z]{{2}}\))?(?:, {of.town})?",
        rf"{of.town}[ ,]{{1,2}}\d{{4,6}}(?:, {of.town})?",
    )
    code = "|".join(rf"(?:{one}){_ENDS}" for one in codes)
    return regex.compile(rf"(?:{_GAP}{of.unit}){{0,2}}(?:{_GAP}(?:{code}))?")


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
            Span(match.start(), match.end(), line.score)
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
            if found and start < found[-1].end:  # it goes on
                last = found.pop()
                found.append(Span(last.start, max(last.end, self._end(text, end)), SCORE))
                continue
            if score != STREET_ALONE:
                least = max(start - REACH, found[-1].end if found else 0)
                house = _before().search(text, least, start)
                if house is None and score == NEEDS_HOUSE:
                    continue
                start = start if house is None else house.start()
                score = SCORE
            last_end = self._end(text, end)
            found.append(Span(start, last_end, SCORE if last_end > end else score))
        return [one for one in found if not self._is_public(text, one)]

    def _end(self, text: str, end: int) -> int:
        """Where an address ends that is known up to `end`."""
        last: int = _behind().match(text, end, end + REACH).end()
        return max(end, last)

    def _is_public(self, text: str, span: Span) -> bool:
        before = _between_words.sub(" ", text[max(0, span.start - REACH) : span.start])
        return any(body in before for body in lists()["parts"]["public_bodies"])
