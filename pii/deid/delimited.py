"""Names of types between delimiters of every kind, numbered, hashed or not: rows 46–57.

The tools that write them differ in delimiters alone, so a tag is read first (pii.deid.vocabulary)
and its delimiters say what else looks like it: links, templates, shell variables, elements.
"""

import re
from collections.abc import Iterator

from unrote.pii.deid.context import (
    after_title,
    commanded,
    in_prose,
    in_sentence,
    mentioned,
    owned,
    quoted_in_code,
    secret_set,
)
from unrote.pii.deid.shapes import Candidate, Evidence, Shape
from unrote.pii.deid.vocabulary import HEADS, Tag, read_tag

_BODY = r"(?P<body>[A-Za-z0-9][\w :#.-]{1,60}?)"


def _tag(candidate: Candidate) -> Tag:
    return _known(candidate.match["body"])


def _known(body: str) -> Tag:
    tag = read_tag(body)
    assert tag is not None, "the shape accepts tags alone"
    return tag


def _stands_for(candidate: Candidate) -> str:
    return _tag(candidate).stands_for


def _is_tag(match: re.Match[str]) -> bool:
    return read_tag(match["body"]) is not None


_GLUED = re.compile(r"[a-z]+\d+")
"""A module or a device: mac80211, card04."""


def _is_distinct(match: re.Match[str]) -> bool:
    """A tag that no template has by chance: numbered, or it says that something is gone."""
    tag = None if _GLUED.fullmatch(match["body"]) else read_tag(match["body"])
    return tag is not None and (tag.numbered or tag.says_gone)


_LLM_GUARD = re.compile(r"REDACTED_[A-Z][A-Z_]{1,40}_\d{1,5}")


def _is_typed(match: re.Match[str]) -> bool:
    """The same, of a type, and no tag of llm-guard's: these have a shape of their own."""
    return (
        _is_distinct(match)
        and not _LLM_GUARD.fullmatch(match["body"])
        and bool(_known(match["body"]).stands_for)
    )


def _is_upper(match: re.Match[str]) -> bool:
    return _is_tag(match) and match["body"].isupper()


def _is_distinct_or_upper(match: re.Match[str]) -> bool:
    return _is_distinct(match) or _is_upper(match)


def _is_numbered_or_upper(match: re.Match[str]) -> bool:
    tag = read_tag(match["body"])
    return tag is not None and (tag.numbered or match["body"].isupper())


def _weigh_tag(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence that is the same between all delimiters."""
    tag = _tag(candidate)
    if tag.numbered:
        yield "numbered", 1.5
    if tag.says_gone:
        yield "it says that something is gone", 1.5
    if tag.vague:
        yield "a name that many placeholders have", -2
    if re.search(r"\w\Z", candidate.before) and re.match(r"\w", candidate.after):
        yield "within a word", -4
    yield from in_sentence(candidate)
    yield from in_prose(candidate)
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)
    yield from commanded(candidate)


# Row 46: [PERSON_1a2b3c4d], [REDACTED:EMAIL], [PII_NAME_1], [Person 1], [1_PERSON]

_ROW = re.compile(r"\b(?:SELECT|FROM|WHERE|JOIN)\b|\[dbo\]|\]\.\[|=\w+\(")


def _weigh_square(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"[\w\])\\.$#]\Z", candidate.before) or re.match(r"[(\[:.]\S", candidate.after):
        yield "an index or a link", -4
    if _ROW.search(candidate.line):
        yield "a column in SQL or a formula", -5
    if candidate.match["body"].islower() and not _tag(candidate).says_gone:
        yield "in lower case", -2.5
    yield from _weigh_tag(candidate)


def _weigh_double_square(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.is_alone:
        yield "a line of its own: a table of TOML", -3
    yield from _weigh_tag(candidate)


# Row 47: <PERSON_1>, <EMAIL_REDACTED>; row 48: <<PERSON_1>>; row 49: <|EMAIL|>


def _weigh_angle(candidate: Candidate) -> Iterator[Evidence]:
    if f"</{candidate.match['body']}" in candidate.area.text:
        yield "an element of this name", -6
    if candidate.match["body"].islower() and " " in candidate.match["body"]:
        yield "words in lower case", -3
    if re.search(r"[\w=,|]\Z", candidate.before) or re.match(r"[=(\w]", candidate.after):
        yield "a type parameter or a value to give", -4
    yield from _weigh_tag(candidate)


def _weigh_double_angle(candidate: Candidate) -> Iterator[Evidence]:
    tag = _tag(candidate)
    if tag.stands_for == "EMAIL_ADDRESS" and not tag.numbered:
        yield from _weigh_address(candidate)
    if candidate.match["body"].islower() and not tag.numbered:
        yield "in lower case", -2
    if re.search(r"\w\Z|cout ?\Z", candidate.before):
        yield "an operator", -4
    yield from _weigh_tag(candidate)


def _weigh_address(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"(?:[A-Z>][\w.]*[>)\"]?|^)[ ]?\Z", candidate.before):
        yield "the outer brackets are those of an address", -6


_CHAT = re.compile(r"<\|(?:im_start|im_end|user|assistant|system|end|endoftext)\|?>")


def _weigh_piped(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.is_alone:
        yield "a line of its own: a role in a chat", -3
    if _CHAT.search(candidate.area.text):
        yield "roles of a chat in the text", -2
    yield from _weigh_tag(candidate)


# Row 50: <email>, <password>, <name_1>

_LOWER_HEADS = (
    "e?mail|name|person|first|last|full|user|phone|tel|pass|pwd|key|api|secret|token|ip|ssn|"
    "address|date"
)
_OTHER_LOWER = re.compile(
    r"<(?!(?:e?mail|name|person|phone|password|key|api_key)\w{0,12}>)[a-z][\w -]{0,30}>"
)


_COMPOSED = re.compile(r"\bwhere <[a-z_]{2,20}>|[\w\[/@-]<[a-z_]{2,20}>|<[a-z_]{2,20}>[\w\]/=@-]")
_VALUE_ENDS = re.compile(r"[\"'\n]|\s*\Z")
_DEFINED = re.compile(
    r"\A (?:is|are|being) (?:the|a|an|your)\b|\A the \w+|\bin the (?:box|field|form)"
)


def _weigh_lower(candidate: Candidate) -> Iterator[Evidence]:
    name = candidate.match["body"]
    if f"</{name}" in candidate.area.text or f"<{name}/" in candidate.area.text:
        yield "an element of this name", -6
    others = candidate.area.distinct(_OTHER_LOWER)
    if others:
        yield "other words in angle brackets", -min(4.0, 1.5 * others)
    beside = re.search(r"[\w(@/:]\Z|[a-z]=\Z", candidate.before)
    if beside or re.match(r"[\w(@/:<]", candidate.after):
        yield "text right beside it", -3
    if candidate.before.endswith("<") and candidate.after.startswith(">"):
        yield "in the brackets of an address", 3
    if re.search(r"\bBearer[ ]\Z|\bhttps?:", candidate.line_before):
        yield "in a request that is shown", -3
    if candidate.area.distinct(_COMPOSED):
        yield "a part of other words in the text", -4
    if _DEFINED.search(candidate.after):
        yield "it is said what it is", -3
    yield from _weigh_value(candidate)
    yield from _weigh_tag(candidate)


def _weigh_value(candidate: Candidate) -> Iterator[Evidence]:
    if _tag(candidate).stands_for in {"PERSON", "EMAIL_ADDRESS"}:
        yield from owned(candidate)
    elif any(secret_set(candidate)):
        yield "where a secret is set", 1.5
        if re.search(r"(?:[\"']|[A-Z_]=)\Z", candidate.before) and _VALUE_ENDS.match(
            candidate.after
        ):
            yield "a value by itself", 2.5


# Row 51: <name/>, <NAME></NAME>, <PHI TYPE="DATE"/>

_FULL = re.compile(r"<([A-Za-z][\w.:-]{0,40})(?:\s[^<>\n]{0,80})?>[^<>]*[^\s<>][^<>]*</\1>")


def _element_body(match: re.Match[str]) -> str:
    return match["value"] or match["body"]


def _is_element(match: re.Match[str]) -> bool:
    return read_tag(_element_body(match)) is not None and (
        not match["value"] or match["body"].upper() in {"PHI", "PII", "REDACTED", "DEID"}
    )


def _weigh_element(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.match["value"]:
        yield "an element that names its type", 3
    if _FULL.search(candidate.area.text):
        yield "elements with text in them", -6
    if re.search(r">\s*\Z", candidate.before) or re.match(r"\s*<", candidate.after):
        yield "beside another element", -4
    if re.search(r"\w\Z", candidate.before) or re.match(r"\w", candidate.after):
        yield "text right beside it", -2
    if candidate.is_alone:
        yield "a line of its own", -4
    yield from _weigh_tag(candidate)


def _element_stands_for(candidate: Candidate) -> str:
    return _known(_element_body(candidate.match)).stands_for


# Row 52: {{PERSON_1}}, {{REDACTED_EMAIL}}; row 53: {PERSON_1}

_TEMPLATE = re.compile(
    r"\{\{(?:[#/^!>&]| ?[a-z.][\w]{0,30}\.[\w.]{1,30}|[^{}\n]{1,40}\|)|\{%|\{\{cli\b|"
    r"\b(?i:jinja|mustache|handlebars|vue|angular|mail merge|i18next|helm|cookiecutter|ansible)\b"
)
_FORMAT = re.compile(r"\{[a-z_]\w*(?:[.:!][^{}\n]{0,20})?\}|\.format\(|\bf[\"']|println!|\$\{")


def _weigh_curly(candidate: Candidate) -> Iterator[Evidence]:
    double = candidate.marker.startswith("{{")
    syntax = candidate.area.distinct(_TEMPLATE if double else _FORMAT)
    if syntax:
        yield "syntax of templates", -3
    if re.search(r"\\[a-z]{2,20}\{", candidate.area.text):
        yield "TeX in the text", -3
    if re.search(r"[\\{$%\w]\Z", candidate.before) or candidate.after.startswith("}"):
        yield "in TeX or code", -4
    yield from _weigh_tag(candidate)


# Row 54: %%NAME%%, ##PHONE##, $NAME$, @@NAME@@, §NAME§, ||NAME||, __NAME_1__, ***NAME***

_VARIABLE = re.compile(r"[$%]\w+|\$\(|\becho\b|\bexport\b|\bset\b")
_MATH = re.compile(r"\\[a-zA-Z]{2,}|\$[^$\n]{0,60}[=+<>^_\\][^$\n]{0,60}\$")


def _weigh_sigils(candidate: Candidate) -> Iterator[Evidence]:
    tag, sigil = _tag(candidate), candidate.match["sigil"]
    outer = sigil[0]
    if candidate.before.endswith(outer) or candidate.after.startswith(outer):
        yield "more of the same sign beside it", -6
    if sigil in {"$", "$$"} and _MATH.search(candidate.line):
        yield "a formula", -5
    if outer in "$%" and _VARIABLE.search(candidate.line_before + " " + candidate.line_after):
        yield "variables beside it", -3
    if sigil == "__" and not tag.numbered:
        yield "a name as Python's own", -2
    if sigil == "~~" and not tag.numbered:
        yield "words that are struck out", -3
    if candidate.is_alone:
        yield "a line of its own: a heading", -2
    if re.search(r"\w\Z", candidate.before) or re.match(r"\w", candidate.after):
        yield "text right beside it", -4
    yield from _weigh_tag(candidate)


# Row 55: ⟦PERSON_1⟧, 【NAME】, ＜PERSON_1＞


def _weigh_wide(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.is_alone:
        yield "a line of its own: a heading", -2
    yield from _weigh_tag(candidate)


# Row 56: PERSON_1, EMAIL_1; REDACTED_EMAIL, NAME_REDACTED

_CODE_AROUND = re.compile(
    r"#define|\benum\b|[;{}]\s*$|\w\(|\[[\"']|= ?[\"'(\[]|==|\.\w+\(|^\s*\w+ = "
)


def _weigh_bare(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"[\w$@#%&{}\[\]<>/\\.=+*|\"'`-]\Z", candidate.before) or re.match(
        r"[\w$@#{}\[\]<>/\\=+*|\"'`(-]|\.\w", candidate.after
    ):
        yield "part of an expression", -5
    if _CODE_AROUND.search(candidate.line):
        yield "a line of code", -3
    if after_title(candidate):
        yield "a label after a title", 1
    yield from _weigh_tag(candidate)


_NUMBERED_LABEL = (
    r"(?:PERSON|FIRST_?NAME|LAST_?NAME|EMAIL|EMAIL_ADDRESS|PHONE|PHONE_NUMBER|LOCATION|CITY|"
    r"ADDRESS|ORG|ORGANIZATION|COMPANY|DATE|SSN|PATIENT|DOCTOR|HOSPITAL|USERNAME)_\d{1,4}"
)
_GONE_LABEL = (
    r"(?:REDACTED|MASKED|ANONYMIZED)_(?:NAME|PERSON|EMAIL|PHONE|ADDRESS|DATE|SSN|ID|LOCATION|IP|"
    r"URL|PASSWORD|KEY|TOKEN|SECRET|USERNAME|API_KEY)(?:_PLACEHOLDER)?|"
    r"(?:NAME|PERSON|EMAIL|PHONE|ADDRESS|DATE|SSN|LOCATION|IP|PASSWORD|KEY|TOKEN)_"
    r"(?:REDACTED|ANONYMIZED)"
)

SHAPES = (
    Shape(
        "numbered or redacted, in brackets", "46", "LLM anonymizer", "brackets", 0,
        re.compile(rf"(?<!\[)\[{_BODY}\](?!\])"), _weigh_square,
        r"\[[A-Za-z0-9_:# -]{1,40}[0-9][A-Za-z0-9]{0,40}\]|\[[0-9]{1,4}_[A-Z]|"
        r"\[[A-Z][a-z]+ [A-Z]\]|"
        r"(?i:\[[a-z0-9 _:#-]{0,40}(?:redacted|masked|removed|deleted|nonymi|eidentified|withheld|"
        r"omitted|scrubbed|suppressed|pii|phi|anon))", _stands_for,
        accepts=_is_typed,
    ),
    Shape(
        "double brackets", "46", "LLM anonymizer", "brackets", 0,
        re.compile(rf"\[\[{_BODY}\]\](?!\()"), _weigh_double_square, r"\[\[[A-Za-z0-9]",
        _stands_for,
        accepts=_is_distinct_or_upper,
    ),
    Shape(
        "numbered or redacted, in angle brackets", "47", "Presidio, numbered", "presidio", 0.5,
        re.compile(rf"(?<!<)<{_BODY}>(?!>)"), _weigh_angle,
        r"<[A-Za-z][A-Za-z_]{1,30}[ _:#-][0-9A-Za-z]|<[A-Za-z]{2,30}[0-9]", _stands_for,
        accepts=_is_distinct,
    ),
    Shape(
        "double angle brackets", "48", "LLM anonymizer", "angles", 0,
        re.compile(rf"<<{_BODY}>>"), _weigh_double_angle, r"<<[A-Za-z]", _stands_for,
        accepts=_is_tag,
    ),
    Shape(
        "angle brackets and pipes", "49", "special tokens", "angles", 0.5,
        re.compile(rf"<\|{_BODY}\|>"), _weigh_piped, r"<\|[A-Za-z]", _stands_for,
        accepts=_is_tag,
    ),
    Shape(
        "lower-case tag", "50", "code corpora", "lower", -1,
        re.compile(rf"<(?P<body>(?:{_LOWER_HEADS})[a-z0-9_]{{0,20}})>"), _weigh_lower,
        rf"<(?:{_LOWER_HEADS})[a-z0-9_]{{0,20}}>", _stands_for,
        accepts=_is_tag,
    ),
    Shape(
        "empty element", "51", "emptied XML", "xml", -1,
        re.compile(
            r"<(?P<body>[A-Za-z][\w-]{1,24})(?:\s+(?i:type)=\"(?P<value>[A-Za-z_ -]{2,30})\""
            r"(?:\s[^<>\n]{0,60}?)?)?\s*(?:/>|></(?P=body)>)"
        ),
        _weigh_element, r"/>|></[A-Za-z]", _element_stands_for, accepts=_is_element,
    ),
    Shape(
        "double braces, numbered", "52", "LLM anonymizer", "curly", 0.5,
        re.compile(rf"\{{\{{{_BODY}\}}\}}"), _weigh_curly,
        r"\{\{[A-Za-z]{2,40}[ _:#-]?[0-9A-Za-z]", _stands_for,
        accepts=_is_distinct,
    ),
    Shape(
        "braces, numbered", "53", "LLM anonymizer", "curly", -1,
        re.compile(rf"(?<!\{{)\{{{_BODY}\}}(?!\}})"), _weigh_curly,
        r"\{[A-Za-z][A-Za-z_]{1,40}[0-9D]\}", _stands_for,
        accepts=_is_distinct,
    ),
    Shape(
        "two signs on both sides", "54", "generic", "sigils", 0,
        re.compile(
            r"(?P<sigil>%%|\$\$?|@@|###?|§§?|__|~~?|\^\^|!!|\|\||\*\*\*)"
            r"(?P<body>[A-Z][A-Za-z0-9_ ]{1,40}?)(?P=sigil)"
        ),
        _weigh_sigils,
        rf"\?(?:{HEADS})[A-Z0-9_ ]{{0,40}}\?|"
        + "|".join(
            f"{sign}[A-Z][A-Za-z0-9_ ]{{1,40}}{sign}"
            for sign in ("%%", r"\$", "@@", "##", "__", "~", r"\^\^", "!!", r"\|\|", r"\*{3}")
        ),
        _stands_for,
        accepts=_is_numbered_or_upper,
    ),
    Shape(
        "wide brackets", "55", "LLM anonymizer", "wide", 1,
        re.compile(rf"[⟦⟨【〔＜［]{{1,2}}{_BODY}[⟧⟩】〕＞］]{{1,2}}"), _weigh_wide,
        rf"\?(?:[0-9]{{1,4}}_)?(?:{HEADS})[A-Z0-9_ :#.-]{{0,60}}\?", _stands_for,
        accepts=_is_upper,
    ),
    Shape(
        "bare and numbered", "56", "LLM anonymizer", "names", -0.5,
        re.compile(rf"(?<!\w)(?P<body>{_NUMBERED_LABEL})(?!\w)"), _weigh_bare,
        r"[A-Z]_[0-9]", _stands_for,
        accepts=_is_tag,
    ),
    Shape(
        "bare and redacted", "56", "generic", "redacted", -0.5,
        re.compile(rf"(?<!\w)(?P<body>{_GONE_LABEL})(?!\w)"), _weigh_bare,
        r"(?:REDACTED|MASKED|ANONYMIZED)_[A-Z]|[A-Z]_(?:REDACTED|ANONYMIZED)", _stands_for,
        accepts=_is_tag,
    ),
)  # fmt: skip
