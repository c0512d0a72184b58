"""Tags: the name of a type in delimiters; rows 14–22 and 28–34."""

import re
from collections.abc import Iterator
from functools import cache

from unrote.pii.deid.context import (
    after_title,
    argument,
    in_sentence,
    mentioned,
    of_tag,
    owned,
    quoted_in_code,
    secret_set,
)
from unrote.pii.deid.shapes import Candidate, Evidence, Shape


def _tag(candidate: Candidate) -> str:
    return of_tag(candidate.match["tag"])


# Rows 14–16: |||EMAIL_ADDRESS|||


def _weigh_pipes(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.match["tag"] in {"EMAIL_ADDRESS", "PHONE_NUMBER", "IP_ADDRESS"}:
        yield "a tag that Dolma writes", 1
    if re.search(r"[\w|]$", candidate.before) and re.match(r"[\w|]", candidate.after):
        yield "within a word or a table", -1
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


# Rows 17–20: <EMAIL>, <NAME>, <KEY>, <PASSWORD>; row 28: <PERSON>, <US_SSN>, <ANONYMIZED>

_STARCODER = r"EMAIL|NAME|KEY|PASSWORD"
_PRESIDIO = (
    r"PERSON|LOCATION|ORGANIZATION|NRP|DATE_TIME|EMAIL_ADDRESS|PHONE_NUMBER|IP_ADDRESS|IBAN_CODE|"
    r"CREDIT_CARD|CRYPTO|MEDICAL_LICENSE|URL|AGE|ID|MAC_ADDRESS|(?:US|UK|ES|IT|PL|SG|AU|IN|FI|KR|"
    r"DE|TH|CA|SE)_[A-Z_]{2,24}|ANONYMI[SZ]ED"
)
_ELEMENT = re.compile(
    r"<(?=[A-Za-z])[\w:-]{1,40}\s[^<>\n]{1,80}=|<[A-Z][A-Z_]{1,30}\s*/>|</[A-Z][A-Z_]{1,40}>"
)
_OTHER_UPPER = re.compile(
    rf"<(?!(?:{_STARCODER}|{_PRESIDIO})>)(?!REDACTED|NAME|DEID)[A-Z][A-Z0-9_ -]{{1,30}}>"
)


@cache
def _element(tag: str) -> re.Pattern[str]:
    return re.compile(rf"</{tag}>|<{tag}\s?/>|<{tag} [\w:-]+=")


def _weigh_angle(candidate: Candidate) -> Iterator[Evidence]:
    tag = candidate.match["tag"]
    if candidate.area.distinct(_element(tag)):
        yield "an element of this name", -6
    elif re.match(r"[A-Za-z0-9]", candidate.after) or candidate.area.distinct(_ELEMENT) > 1:
        yield "elements in upper case, or text right after it", -2
    others = candidate.area.distinct(_OTHER_UPPER)
    if others:
        yield "other words in angle brackets", -min(3.0, 1.0 * others)
    if re.search(r"\w$", candidate.before) and not re.search(r"[a-z]{2}\d?-$", candidate.before):
        yield "a type parameter", -4
    if re.search(r"(?:^|\s)(?:<[^<>\n]{1,20}>\s?)?\+$|\+\s?$", candidate.before):
        yield "a key to press", -3
    yield from argument(candidate)
    yield from mentioned(candidate)
    yield from quoted_comparison(candidate)


def quoted_comparison(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence of code that replaces values, or of a test that expects a tag."""
    line = candidate.line_before[-120:]
    if re.search(r"==\s?[\"'][^\"']*$|\bnew_value\b|\breplace\w*\(|\b(?:re\.)?sub\(|\bmask=", line):
        yield "a replacement or an expected value in code", -3


def _weigh_starcoder(candidate: Candidate) -> Iterator[Evidence]:
    yield from _weigh_angle(candidate)
    if candidate.before.endswith("<") and candidate.after.startswith(">"):
        yield "in the brackets of an address", 2
    named = candidate.match["tag"] in {"NAME", "EMAIL"}
    placed = list(owned(candidate) if named else secret_set(candidate))
    if placed:
        yield from placed
    elif re.search(r"[\"'{>]$", candidate.before) and re.match(r"[\"'}<]", candidate.after):
        yield "a value in quotation marks", 1
    yield from in_sentence(candidate)


def _weigh_presidio(candidate: Candidate) -> Iterator[Evidence]:
    yield from _weigh_angle(candidate)
    yield from quoted_in_code(candidate)
    if "_" in candidate.match["tag"]:
        yield "an entity name of two words", 0.5
    elif candidate.match["tag"] in {"ID", "URL", "AGE"}:
        yield "a name that many placeholders have", -1.5
    yield from in_sentence(candidate)


# Row 21: PI:EMAIL:<EMAIL>END_PI; row 22: PI:EMAIL

_PI = (
    r"EMAIL|NAME|KEY|PASSWORD|IP_ADDRESS|USER(?:NAME)?|PHONE|ID|LICENSE_PLATE|GOV_ID|AGE|ADDRESS|"
    r"SSN|CREDIT_CARD|URL|PERSON|DATE|NUMERIC|BANK_ACCOUNT|MEDICAL|AMBIGUOUS|NETWORK"
)


def _weigh_pi(candidate: Candidate) -> Iterator[Evidence]:
    yield from mentioned(candidate)


# Row 29: {{EMAIL}}

_SCRUBADUB = (
    r"EMAIL|NAME|PHONE|ADDRESS|URL|SKYPE|TWITTER|CREDENTIAL|USERNAME|PASSWORD|DATE_OF_BIRTH|"
    r"SOCIAL_SECURITY_NUMBER|CREDIT_CARD|POSTAL_?CODE|UNKNOWN|VEHICLE_LICEN[CS]E_PLATE|"
    r"DRIVERS_LICEN[CS]E|TAX_REFERENCE_NUMBER|NATIONAL_INSURANCE_NUMBER|LOCATION|ORGANI[SZ]ATION"
)
_TEMPLATE = re.compile(
    r"\{\{(?:[#/^!>&]| ?[a-z.][\w.]{1,30}[ }|(])|\{%|\b(?i:templates?|jinja|mustache|"
    r"handlebars|vue|angular|mail merge|i18next|helm|render|cookiecutter|ansible|bibtex)\b"
)
_TEMPLATE_CASED = re.compile(rf"\{{\{{(?!(?:{_SCRUBADUB})\}}\}})[A-Z][A-Z_]{{1,30}}\}}\}}")


def _weigh_curly(candidate: Candidate) -> Iterator[Evidence]:
    syntax = candidate.area.distinct(_TEMPLATE)
    if syntax:
        yield "template syntax", -3 if syntax > 2 else -1.5
    if candidate.area.distinct(_TEMPLATE_CASED):
        yield "other fields in double braces", -3
    if re.search(r"\\[a-z]{2,20}\{", candidate.area.text):
        yield "TeX in the text", -3
    if re.search(r"[\\{$%]$|\\\w+$", candidate.before) or re.match(r"[}]", candidate.after):
        yield "in TeX or code", -3
    if candidate.before.endswith("<") and candidate.after.startswith(">"):
        yield "in the brackets of an address", 2
    yield from in_sentence(candidate)
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


# Row 30: [EMAIL_1], [EMAIL_REDACTED]; row 31: [REDACTED_PERSON_1]

_WORD = (
    r"EMAIL(?:_ADDRESS)?|PHONE(?:_NUMBER|_FAX)?|FAX|SSN|US_SSN|CREDIT_CARD(?:_NUMBER|_RE)?|"
    r"IP_ADDRESS|IP|IBAN(?:_CODE)?|PERSON(?:_NAME)?|NAME|FIRST_NAME|LAST_NAME|ORG|ORGANIZATION|"
    r"ORGANIZATION_NAME|ORGANIZATION_COMPANY|LOCATION|ADDRESS|STREET_ADDRESS|DATE(?:_TIME)?|DOB|"
    r"DATE_OF_BIRTH|ZIP(?:_CODE)?|URL|URL_IP|AGE|ID|USERNAME|USER|PASSWORD|KEY|UUID|CRYPTO|"
    r"HOSPITAL|CARE_INSTITUTE|INITIALS|OTHER|PATIENT|DOCTOR|PASSPORT|DRIVER_ID|LICENSE_PLATE|"
    r"BANK_ACCOUNT_NUMBER|BANK_ROUTING|CREDIT_DEBIT_NUMBER|CREDIT_DEBIT_CVV|PIN|MAC_ADDRESS|"
    r"AWS_ACCESS_KEY|AWS_SECRET_KEY|CITY|STATE|COUNTRY|US_SOCIAL_SECURITY_NUMBER|"
    r"CREDIT_CARD_NUMBER|US_DRIVERS_LICENSE_NUMBER|MEDICAL_RECORD_NUMBER|GENDER|JOB|"
    r"PERSONALNAME|ALPHANUMERICID|AGE90\+|[A-Z]{2,12}_NUMBER|US_[A-Z_]{2,24}|UK_[A-Z_]{2,24}"
)


def _weigh_numbered(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"\w$", candidate.before):
        yield "an index after a name", -3
    yield from in_sentence(candidate)
    yield from quoted_in_code(candidate)
    yield from quoted_comparison(candidate)
    yield from mentioned(candidate)


# Rows 32, 33: [NAME], [PHONE_FAX], [PERSON_NAME]

_SQL = re.compile(r"\b(?:SELECT|FROM|WHERE|ORDER BY|INSERT|UPDATE|TABLE)\b|\[dbo\]|=\w+\(")
_TO_FILL = re.compile(
    r"\[(?:YOUR|INSERT|ENTER|MY|COMPANY NAME|RECIPIENT)[ _A-Z]*\]|\[[a-z-]{3,20}[^\]\n]{0,20}="
)
_PLAIN_LIST = re.compile(r"^[ \t]*(?:[|*-][ \t]*)?$")


def _weigh_bracket(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"[\w\])\\.]$", candidate.before) or re.match(r"[\[(\w.]\w", candidate.after):
        yield "an index or a link", -4
    if re.search(r"\w ?= ?$", candidate.before) and re.match(r"[,)]", candidate.after):
        yield "an argument of a call", -4
    if candidate.is_alone:
        yield "a heading of a configuration file", -3
    if _SQL.search(candidate.line):
        yield "a column in SQL or a formula", -4
    if candidate.area.distinct(_TO_FILL):
        yield "a text to be filled in", -3
    if re.match(r"[ ]?\|[ ]\w", candidate.after) and _PLAIN_LIST.match(candidate.line_before):
        yield "the first cell of a table", -3
    if re.search(rf"\b{candidate.match['tag'].lower()} $", candidate.before):
        yield "an argument and its kind", -2
    yield from in_sentence(candidate)
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


# Row 34: [REDACTED], [NAME REDACTED], [name withheld], <REDACTED>

_GONE = (
    r"redacted|de-?identified|anonymi[sz]ed|withheld|removed|deleted|suppressed|pseudonymi[sz]ed|"
    r"supplied|omitted"
)
_WHAT = (
    r"(?:(?:full |first |last |sur|user)?names?(?: and address)?|address|location|"
    r"date(?: of birth)?|"
    r"company|employer|school|hospital|university|city|town|place|age|id|ssn|phone(?: number)?|"
    r"e-?mail(?: address)?|number|personal (?:information|data|details)|information|identity|"
    r"identifying (?:information|details)|PII|PHI|organi[sz]ation|person|patient|url|link|"
    r"account(?: number)?|ip(?: address)?|password|key|token|secret)"
)
_SIMPLE = r"redacted|de-?identified|anonymi[sz]ed|name withheld|names? withheld(?: by request)?"


def _weigh_redacted(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"\w[\w.]*$", candidate.before) and candidate.marker.startswith("["):
        yield "an index after a name", -2
    if re.match(r"\(", candidate.after):
        yield "a link", -4
    if candidate.match["what"]:
        yield "it names what was removed", 1
    elif candidate.marker.startswith("<") and "</" in candidate.area.text:
        yield "markup in the text", -1
    if re.search(r"\bwords? $|\bterm $", candidate.before):
        yield "the word itself is meant", -3
    yield from in_sentence(candidate)
    yield from quoted_in_code(candidate)
    yield from quoted_comparison(candidate)
    yield from mentioned(candidate)


def _redacted_stands_for(candidate: Candidate) -> str:
    said = of_tag(candidate.match["what"] or "")
    return said or ("PERSON" if after_title(candidate) else "")


_UPPER_BRACKET = rf"\[(?P<tag>{_WORD})\]"
SHAPES = (
    Shape(
        "pipes", "14-16", "Dolma", "pipes", 2,
        re.compile(r"\|\|\|(?P<tag>[A-Z][A-Z_]{1,30})\|\|\|"), _weigh_pipes, r"\|\|\|[A-Z]", _tag,
    ),
    Shape(
        "StarCoder tag", "17-20", "StarCoder", "starcoder", 0,
        re.compile(rf"<(?P<tag>{_STARCODER})>"), _weigh_starcoder, rf"<(?:{_STARCODER})>", _tag,
    ),
    Shape(
        "Presidio tag", "28", "Presidio", "presidio", 0,
        re.compile(rf"<(?P<tag>{_PRESIDIO})>"), _weigh_presidio, rf"<(?:{_PRESIDIO})>", _tag,
    ),
    Shape(
        "PI … END_PI", "21", "BigCode references", "pi", 5,
        re.compile(rf"PI:(?P<tag>{_PI}):[^\n]{{0,200}}?END_PI"), _weigh_pi, rf"PI:(?:{_PI}):", _tag,
    ),
    Shape(
        "PI", "22", "BigScience ROOTS", "pi", 2.5,
        re.compile(rf"(?<![\w:.-])PI:(?P<tag>{_PI})(?!\w)(?!:\w)"),
        _weigh_pi, rf"PI:(?:{_PI})", _tag,
    ),
    Shape(
        "PI: left open", "21", "BigCode references", "pi", 1.5,
        re.compile(rf"(?<![\w:.-])PI:(?P<tag>{_PI}):(?=[^\s:])"),
        _weigh_pi, rf"PI:(?:{_PI}):", _tag,
    ),
    Shape(
        "double braces", "29", "scrubadub", "curly", 1,
        re.compile(rf"\{{\{{(?P<tag>{_SCRUBADUB})\}}\}}"), _weigh_curly, r"\{\{[A-Z]{2}", _tag,
    ),
    Shape(
        "numbered tag", "30", "DataFog", "brackets", 2,
        re.compile(rf"\[(?P<tag>{_WORD})_(?:\d{{1,5}}|REDACTED|MASKED|HASH_\w{{1,40}})\]"),
        _weigh_numbered, r"\[[A-Z_]{2,40}_(?:[0-9]|REDACTED|MASKED|HASH)", _tag,
    ),
    Shape(
        "redacted and numbered", "31", "llm-guard", "brackets", 2.5,
        re.compile(r"\[REDACTED_(?P<tag>[A-Z][A-Z_]{1,40})_\d{1,5}\]"),
        _weigh_numbered, r"\[REDACTED_[A-Z]", _tag,
    ),
    Shape(
        "type in brackets", "32-33", "nedap, DLP or Comprehend", "brackets", -0.5,
        re.compile(_UPPER_BRACKET), _weigh_bracket, r"\[[A-Z_0-9+]{2,40}\]", _tag,
    ),
    Shape(
        "redacted", "34", "generic", "redacted", 1,
        re.compile(
            rf"(?:\[(?:\*{{1,4}} )?(?:{_SIMPLE}|(?P<what>{_WHAT}) (?:{_GONE}))(?: \*{{1,4}})?\]|"
            rf"<(?:{_SIMPLE})>|\((?:names?(?: and address)?|identity) (?:withheld|supplied|"
            rf"redacted)"
            r"(?: by request)?\))",
            re.IGNORECASE,
        ),
        _weigh_redacted, rf"(?:{_GONE})[^\])>\n]{{0,16}}[\])>]", _redacted_stands_for,
    ),
)  # fmt: skip
