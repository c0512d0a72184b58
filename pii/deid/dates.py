"""Shifted dates, and ages that stand for "over 89": rows 11 and 12."""

import re
from collections.abc import Iterator

from unrote.pii.deid.context import after_title, clinical_words, mentioned
from unrote.pii.deid.shapes import Candidate, Evidence, Shape
from unrote.pii.findings import SHIFTED_DATE, SURROGATE_AGE

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_TIME = r"(?:[ T]\d\d?:\d\d(?::\d\d)?(?: ?[AP]M\b)?)?"


def _dates(year: str) -> re.Pattern[str]:
    """Dates with such a year, and the year alone."""
    return re.compile(
        rf"(?<![\w.$/#-])(?:{year}[-/]\d\d?[-/]\d\d?{_TIME}|\d\d?[-/.]\d\d?[-/.]{year}{_TIME}|"
        rf"\d\d?(?:st|nd|rd|th)? {_MONTH},? {year}|{_MONTH} \d\d?(?:st|nd|rd|th)?,? {year}|"
        rf"{_MONTH},? (?:of )?{year}|\d\d?[/-]{year}|{year}[-/]\d\d?|{year})(?![\w/-]|\.\d)",
    )


_NO_YEAR = re.compile(
    r"(?:\b(?:iso|rfc|room|model|no\.?|number|population|part|page|unit|mrn|#|\$|€|£|vol\.?|port|"
    r"section|ext\.?|pager|x|clip|id|extension)[ :]{0,2}|[$£€#])$",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"[ ]?(?:ml|mg|cc|kg|g|mm|cm|units?|patients|participants|cases|people|euros?|dollars?|steps|"
    r"kcal|calories|cells|copies|hours|hrs?|h\b|%)|,\d",
    re.IGNORECASE,
)
_FUTURE = re.compile(
    r"\b(?:expires?|expiry|valid until|matures?|perpetual|calendar|eclipse|comet|transit|sentinel|"
    r"overflows?|scenario|projected|projections?|forecast|sea level|captain|starship|planet|titan|"
    r"galaxy|novel|film|chapter|century|mankind|colony)\b",
    re.IGNORECASE,
)


def _weigh_date(candidate: Candidate) -> Iterator[Evidence]:
    words = clinical_words(candidate.area)
    if candidate.before.rfind("[**") > candidate.before.rfind("**]"):
        yield "within a tag", -9
    if words < 0.6:
        yield "hardly a clinical word around", -5
    elif words < 4:
        yield "clinical words around", 2.5 if words >= 1.5 else 1.5
    else:
        yield "a clinical document", 3.5
    if len(candidate.marker) > 4:
        yield "a date, not a year alone", 1
    elif _NO_YEAR.search(candidate.before) or _QUANTITY.match(candidate.after):
        yield "a number, not a year", -5
    futures = candidate.area.distinct(_FUTURE)
    if futures:
        yield "the text is about the future", -2.0 * min(futures, 2)
    if re.search(r"datetime\($|DATE '$", candidate.before):
        yield "in code", -3
    yield from mentioned(candidate)


_HUMAN = re.compile(
    r"[- ]?(?:(?:year|yr)s?[- ]?old|y/?o\b|y\.o\.)[ ,]{0,2}(?:\w+[ -]){0,3}?(?:man|woman|male|"
    r"female|"
    r"gentleman|lady|patient|pt|retired|former|boy|girl|resident|widow|M\b|F\b)|[FM]\b|"
    r" ?y/?o ?[FM]\b",
    re.IGNORECASE,
)
_OLD = re.compile(r"[- ]?(?:(?:year|yr)s?[- ]?old|y/?o\b|yrs?\b|years of age)", re.IGNORECASE)
_AGED = re.compile(r"\b(?:aged?|anchor_age)[\"']?[ :=]{1,3}(?:of )?$|\bis $", re.IGNORECASE)
_THING = re.compile(
    r"[- ]?years?[- ]old (?:\w+ )?(?:oak|tree|house|church|building|clock|book|tradition|wine|"
    r"violin|painting|bridge|castle|mill|village|town|city|law|company|firm|temple|manuscript|"
    r"recipe|map|ship|tortoise|vampire|elf|wizard|dragon)\b",
    re.IGNORECASE,
)
_TABLE = re.compile(
    r"(?:^|\n)[^\n]*\b(?:age|anchor_age)\b[^\n]*[,;\t|]|[,;\t|]age\b", re.IGNORECASE
)


def _in_column(candidate: Candidate) -> bool:
    """Whether it is a field of its own, beside a sex, in a table that has ages."""
    return (
        re.search(r"[,;\t|][ ]?[\"']?$", candidate.before) is not None
        and re.match(r"[\"']?[ ]?(?:[,;\t|]|$|\n)", candidate.after) is not None
        and re.search(r"[,;\t|][FM][,;\t|]", candidate.line) is not None
        and _TABLE.search(candidate.area.text) is not None
    )


def _weigh_age(candidate: Candidate) -> Iterator[Evidence]:
    words = clinical_words(candidate.area)
    yield f"{words:.1f} clinical words around", min(words, 3) - 1
    if _THING.match(candidate.after):
        yield "the age of a thing", -6
    if _HUMAN.match(candidate.after):
        yield "the age of a person", 3
    elif _OLD.match(candidate.after):
        yield "an age", 1
    if _AGED.search(candidate.before):
        yield 'after "age"', 2
    elif _in_column(candidate):
        yield "in a column of ages", 4
    if after_title(candidate):
        yield "after a title", -1
    yield from mentioned(candidate)


_BORN = re.compile(r"(?:\bdob|birth|\bborn)\W{1,8}(?:on )?$", re.IGNORECASE)
_SHIFTED = re.compile(r"\b21\d\d-\d\d|\b(?:age|AGE)\b\W{1,5}30\d\b")
_NEAR_FUTURE = re.compile(r"(?<![\w.-])20[5-9]\d(?=[-/ ,.;:)]|\Z)")
_ORDINARY = re.compile(
    rf"(?<![\w.$/#-])(?:\d\d?/\d\d?/(?:\d\d|(?:19|20)[0-3]\d)|\d\d? {_MONTH} (?:19|20)[0-3]\d|"
    r"(?:19|20)[0-3]\d-\d\d-\d\d)(?![\w/-]|\.\d)"
)


def _weigh_birth(candidate: Candidate) -> Iterator[Evidence]:
    if _BORN.search(candidate.before) and candidate.area.distinct(_SHIFTED):
        yield "born 300 years before", 4


def _weigh_ordinary(candidate: Candidate) -> Iterator[Evidence]:
    area = candidate.area
    near = area.distinct(_NEAR_FUTURE) and not area.distinct(_FUTURE)
    if near and clinical_words(area) > 2:  # which takes longer
        yield "a clinical document with years of the near future", 4


def _date(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "DATE_TIME"


def _age(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "AGE"


SHAPES = (
    # Row 11: MIMIC moves each patient to some year from 2100 to 2200.
    Shape(
        "year 2100 to 2200", "11", "MIMIC-III", "dates", -2,
        _dates(r"(?:21\d\d|220\d)"), _weigh_date, r"(?:^|[^0-9])2[12]\d\d(?:[^0-9]|$)",
        _date, SHIFTED_DATE, needs="clinical",
    ),
    # Row 12: i2b2's surrogates are years of the near future.
    Shape(
        "year of the near future", "12", "i2b2", "dates", -2.5,
        _dates(r"20[4-9]\d"), _weigh_date, r"(?:^|[^0-9])20[4-9]\d(?:[^0-9]|$)",
        _date, SHIFTED_DATE, needs="clinical",
    ),
    # Row 11: in MIMIC-III an age over 89 becomes 300 and more; so is the year of birth moved.
    Shape(
        "age of 300", "11", "MIMIC-III", "dates", -2.5,
        re.compile(r"(?<![\w.$/#-])3(?:0\d|1[0-5])(?=[FM]\b|[^\w./%]|\.(?!\d)|\Z)"), _weigh_age,
        r"(?:^|[^0-9])3[01]\d(?:[^0-9]|$)", _age, SURROGATE_AGE, needs="clinical or weak",
    ),
    Shape(
        "birth 300 years before", "11", "MIMIC-III", "dates", -3,
        _dates(r"1[89]\d\d"), _weigh_birth, r"1[89]\d\d-|[-/ ]1[89]\d\d", _date, SHIFTED_DATE,
        needs="clinical",
    ),
    # Row 12: beside a surrogate year no date of the document is as it was.
    Shape(
        "date beside surrogate years", "12", "i2b2", "dates", -3.5,
        _ORDINARY,
        _weigh_ordinary, r"\d/\d\d?/\d\d|\d [A-Z][a-z]{2,8}\.?,? (?:19|20)\d\d|(?:19|20)\d\d-\d",
        _date, SHIFTED_DATE, needs="clinical",
    ),
)  # fmt: skip
