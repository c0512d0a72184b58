"""De-identified clinical notes: rows 1–10, 13 and 37."""

import re
from collections.abc import Iterator

from unrote.pii.deid.context import (
    after_title,
    clinical,
    in_sentence,
    mentioned,
    of_sentence,
    of_tag,
)
from unrote.pii.deid.shapes import BLOCK_IMAGE, Candidate, Evidence, Shape

# Rows 1–5: [**Hospital1 18**], [**Known lastname 742**], [**2151-7-16**], [**Known lastname **]

_TAG = re.compile(r"\[\*\*(?P<body>[^*\[\]]{0,80})\*\*\]")
_TAG_KINDS = re.compile(
    r"\s*(?:Known|First|Last|Initials?|Doctor|Name|Male|Female|Hospital|Location|Street|State|"
    r"Country|City|University|College|Company|Month|Year|Day|Date|Holiday|Telephone|Pager|Fax|"
    r"Phone|"
    r"Ward|Unit|Room|Job|Medical|Social|MD|Serial|Clip|Numeric|Number|Age|E-?mail|URL|Apartment|"
    r"P\.?O|CC|Attending|Dictator|Provider|Security|Address|Zip|Dictation|Contact|Patient|"
    r"Identifier|Relative|Employer|Event|Weekday|Dates?)",
    re.IGNORECASE,
)
_TAG_DATE = re.compile(r"\s*-?\d{1,4}(?:[-/]\d{0,4}){0,2}-?\s*\Z")
_TAG_NUMBERED = re.compile(r"\d|\(|\s\Z")


_ABOUT_TAGS = re.compile(
    r"\btags? (?:such|like)|\bsuch as|\bloader|\bregex|\bplaceholder|\brewrit|\breplac|"
    r"\bde-?identif",
    re.IGNORECASE,
)


def _weigh_tag(candidate: Candidate) -> Iterator[Evidence]:
    body = candidate.match["body"]
    if _TAG_DATE.match(body):
        yield "a date in the tag", 3
    elif not _TAG_KINDS.match(body):
        yield "not a category of PhysioNet's deid", -4
    elif _TAG_NUMBERED.search(body):
        yield "a category with its number", 3
    else:
        yield "a category without a number", 1
    if re.match(r"\([^()\s]{0,200}\)|\]\(|\]\[", candidate.after):
        yield "before a link target", -9
    if candidate.before.endswith("["):
        yield "within a link", -4
    if _ABOUT_TAGS.search(candidate.line_before[-60:] + " " + candidate.line_after[:60]):
        yield "the line is about tags", -4
    if candidate.before.endswith("`") or candidate.after.startswith("`"):
        yield "in backticks", -4


def _tag_stands_for(candidate: Candidate) -> str:
    body = candidate.match["body"]
    return "DATE_TIME" if _TAG_DATE.match(body) else of_tag(re.sub(r"\d", " ", body))


# Row 58: **NAME[AAA BBB], **DATE[Jan 01 05], **INSTITUTION, of De-ID and of MIST

_DE_ID_VALUED = r"NAME|DATE|AGE|ID-NUM|ID|PHONE|PLACE|INSTITUTION|ADDRESS|INITIALS|TIME|EMAIL"
_DE_ID_BARE = (
    r"INSTITUTION|PLACE|ROOM|ID-NUM|DEVICE-ID|ZIP-CODE|STREET-ADDRESS|PHONE|EMAIL|"
    r"PATH-NUMBER|ACCESSION-NUMBER|WEB-LOC|SSN|HOSPITAL|LOCATION|AGE|INITIALS|URL|IP"
)
_DE_ID = re.compile(
    rf"(?<![*\w])\*\*(?:(?P<valued>{_DE_ID_VALUED})"
    r"(?:\[[^\]\[\n]{1,60}\]|<[^<>\n]{1,60}>|\{[^{}\n]{1,60}\})|"
    rf"(?P<bare>{_DE_ID_BARE})(?![\w*:-]))"
)
_BOLD = re.compile(r"[^*\n]{0,80}\*\*(?!(?:NAME|DATE|AGE|ID|PHONE|PLACE|INST|ROOM|ZIP|STREET)\b)")


def _weigh_de_id(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.match["valued"]:
        yield "a category with its value", 5
    if _BOLD.match(candidate.after):
        yield "bold text of Markdown", -4
    yield from clinical(candidate)
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


def _de_id_stands_for(candidate: Candidate) -> str:
    return of_tag((candidate.match["valued"] or candidate.match["bare"]).replace("-", " "))


# Rows 6–7: ___ and ____ ; rows 8–10: XXXX, XXXX-year-old, x-XXXX

_FORM = re.compile(
    r"\bfill(?:ed)?[ -]?in|\bblank|\bsignature|\bhereby|\bundersigned|\bagreement|\blease\b|"
    r"\bcomplete the|\banswer|\bguess|\bmissing\b|\bquestion|\bworksheet|\bexercise|\bI agree|"
    r"\bcircle|\btick\b|\binsert\b|\bto be filled|\bwrite\b|\bform\b|\bprint name|\bconsent\b",
    re.IGNORECASE,
)
_FORM_NEAR = re.compile(
    r"\b(?:signature|print name|signed|witness|item \d+|questionnaire)\b", re.IGNORECASE
)
_BLANK_AFTER = re.compile(
    r"\s?(?:\([\"“]?[a-z][a-z ]{1,20}[\"”]?\)|\((?:write|\")|cm\b|kg\b|°|%|mmHg|lbs?\b|"
    r"days? a\b|times\b|helps\b|[/|]|\*|\d+\s*$)|[A-Z]?_"
)
_BLANK_BEFORE = re.compile(r"(?:[$£€/|\\*=]|\d,|\b0)[ ]?\Z")
_CLOSES = re.compile(r"[\s.?!]*$")


def _weigh_blank(candidate: Candidate) -> Iterator[Evidence]:  # noqa: C901 (an if for each evidence)
    yield from clinical(candidate)
    length = candidate.end - candidate.start
    if length > 12:
        yield "as long as a line to write on", -4
    elif length != 3:
        yield "not MIMIC's length", -0.5
    if candidate.is_alone:
        only = candidate.line.strip() == candidate.marker and length == 3
        under_label = only and re.search(r":[ \t]*\n[ \t]*\Z", candidate.before)
        yield ("alone, below a heading", 1) if under_label else ("a line of its own", -5)
    if _BLANK_AFTER.match(candidate.after) or _BLANK_BEFORE.search(candidate.before):
        yield "a unit, a choice or another blank beside it", -3
    if re.match(r"[ -]_{3,}(?![\w/])", candidate.after) or re.search(
        r"(?<![\w/])_{3,}[ -]$", candidate.before
    ):
        yield "two side by side, as names are", 1
    if candidate.line_before == "" and re.match(r":| \w", candidate.after):
        yield "at the start of a line of text", 0.5
    if _FORM.search(candidate.line_before[-60:]) or _FORM.search(candidate.line_after[:60]):
        yield "the line is to be filled in", -2
    if _FORM_NEAR.search(candidate.before[-30:]):
        yield "beside a signature", -3
    if of_sentence(candidate) == "AGE" and not _BLANK_AFTER.match(candidate.after):
        yield "before an age", 3
    if after_title(candidate):
        yield "a blank after a title", 1.5
    if re.match(r"[ ]\d\d?:\d\d", candidate.after):
        yield "before a time of day", 1.5
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


_CODED = re.compile(
    r"\b(?:serial|licen[cs]e|key|code|format|templates?|mktemp|todo|fixme|error|model|version|port|"
    r"hex|digits?|part no|account|card|id|ref|number|no\.|roman|numerals?|suffix)\b",
    re.IGNORECASE,
)


def _weigh_filler(candidate: Candidate) -> Iterator[Evidence]:
    yield from clinical(candidate)
    if re.search(r"[0-9A-WYZX#*]-$", candidate.before) and not re.search(
        r"\b[xX]-$|[a-z]-$", candidate.before
    ):
        yield "part of a number", -4
    if re.match(r"-[0-9XA-Z*#]", candidate.after):
        yield "part of a number", -4
    if _CODED.search(candidate.line_before[-40:]) or _CODED.search(candidate.line_after[:20]):
        yield "the line is about codes or numbers", -2
    if re.search(r"[=/\\%$@\"'`:<{]\Z|= \Z", candidate.before):
        yield "in code", -2
    if re.match(r"[ -]XXXX\b", candidate.after) or re.search(r"\bXXXX[ -]\Z", candidate.before):
        yield "two side by side, as names are", 1
    if re.match(r"-year|[ -]?y/?o\b", candidate.after):
        yield "before an age", 4
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


# Row 13: philter's asterisks, a mask of the value's length; row 37: ████

_STARS = r"\*++(?:(?:[/-]|\. |[ ])\*++)*+"
_MASK = re.compile(
    rf"(?<![\w*\\/.-])(?<!\*\s)(?<!\*\.\s)(?P<span>\(\*{{3}}\) \*{{3}}-\*{{4}}|"
    rf"(?=[*/. -]{{0,4}}\*\*){_STARS})"
    r"(?![\w*\\{\[(\"'`])(?!/[\w*.])"
)
_FORMED = re.compile(
    r"(?<![\w*\\/.-])(?:\*{1,2}/\*{1,2}/(?:\*{4}|\*{2})|\(\*{3}\) \*{3}-\*{4}|\*{3}-\*{3}-\*{4}|"
    r"\*{3}-\*{2}-\*{4})(?![\w*\\/])"
)
_RATED = re.compile(r"\bstars?\b|\bhotel|\brating|\breviews?\b|p <|\bp<|\bhash\b", re.IGNORECASE)
_SECRET = re.compile(
    r"\b(?:passw\w*|pin|mask\w*|ending|typed?|cards?)\b[^\n]{0,20}$", re.IGNORECASE
)


def _weigh_mask(candidate: Candidate) -> Iterator[Evidence]:
    words = [(why, max(points, -1.0)) for why, points in clinical(candidate)]
    yield from words if candidate.match.re is _FORMED else clinical(candidate)
    if re.search(r"\*/\*|\*-\*|\)", candidate.marker):
        yield "the form of a date or number is kept", 2
    if candidate.is_alone:
        yield "a line of its own", -5
    ends = not candidate.line_before.strip(" \t*#") or not candidate.line_after.strip(" \t*")
    if ends and re.search(r"\*{3,}", candidate.line_before + candidate.line_after):
        yield "stars at both ends of the line", -3
    if _RATED.search(candidate.line):
        yield "stars of a rating or a test", -3
    if _SECRET.search(candidate.before):
        yield "a masked password", -3
    if re.match(r"/\d|[ ]?\d(?!\d?:\d\d)", candidate.after):
        yield "a number follows", -3
    if after_title(candidate):
        yield "a mask after a title", 1.5
    if re.match(r"[ ](?:yo\b|y/o|year)", candidate.after):
        yield "before an age", 2
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


_BLOCK = re.compile(r"█++(?:(?:[ /.-]|\. |\n[ \t]*+)\d{0,4}█++|\d{1,4}█++)*+")
_DRAWN = re.compile(r"[▀▄▌▐░▒▓▁▂▃▅▆▇▏▎▍▋▊▉■□╔╗╚╝║═╭╮╰╯│─┌┐└┘├┤]|\d\s?%|█[|\]]|[|\[]█")
_CHART = re.compile(r"^\s*[\w .:()/-]{0,30}[ |:\t]*$")


def _weigh_block(candidate: Candidate) -> Iterator[Evidence]:
    if _DRAWN.search(candidate.line):
        yield "part of a drawing or a progress bar", -4
    if candidate.is_alone and "\n" not in candidate.marker:
        yield "a line of its own", -2
    if _CHART.match(candidate.line_before) and re.match(r"\s*[\d.,]*\s*$", candidate.line_after):
        yield "a bar after its label", -0.5
    if re.search(r"[^\W\d_]\Z", candidate.before) or re.match(r"[^\W\d_]", candidate.after):
        yield "a letter right beside it", -1.5
    if re.search(r"[^\W\d_]{2}", candidate.line_before + candidate.line_after):
        yield "words on the line", 0.5
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


SHAPES = (
    Shape(
        "PhysioNet tag", "1-5", "MIMIC-III", "mimic", 0, _TAG, _weigh_tag, r"\[\*\*",
        _tag_stands_for
    ),
    Shape(
        "De-ID tag", "58", "De-ID or MIST", "de-id", -1, _DE_ID, _weigh_de_id, r"\*\*[A-Z]{2}",
        _de_id_stands_for,
    ),
    Shape(
        "three underscores", "6", "MIMIC-IV", "underscores", -2.5,
        re.compile(r"(?<![\w$\\`])___(?!_)(?=[FM]\b|yo\b|y/o|[^\w`]|\Z)"),
        _weigh_blank, r"(?:^|[^_a-zA-Z0-9])___(?:[^_]|$)", of_sentence, needs="clinical or weak",
    ),
    Shape(
        "underscores", "7", "bert-deid", "underscores", -2,
        re.compile(r"(?<![\w$\\`])_{4,}(?=[FM]\b|yo\b|y/o|[^\w`]|\Z)"),
        _weigh_blank, r"(?:^|[^_a-zA-Z0-9])____", of_sentence, needs="clinical or weak",
    ),
    Shape(
        "XXXX", "8-10", "IU X-ray", "xxxx", -1.5,
        re.compile(r"(?<![A-Za-z0-9_$\\])XXXX(?![A-Za-z0-9_])"),
        _weigh_filler, r"XXXX", of_sentence, needs="clinical or weak",
    ),
    Shape(
        "asterisks", "13", "philter", "stars", -2, _MASK, _weigh_mask,
        r"\*\*|\*/\*", of_sentence, needs="clinical or weak",
    ),
    Shape(
        "mask of a date or a telephone", "13", "philter", "stars", -0.5, _FORMED, _weigh_mask,
        r"\*/\*\*|\*\*\*-\*\*", of_sentence,
    ),
    Shape(
        "blocks", "37", "redacted scan", "blocks", -1, _BLOCK, _weigh_block,
        BLOCK_IMAGE, of_sentence,
    ),
)  # fmt: skip
